import type { Reporter, TestModule } from 'vitest/node';
import type {} from './needs.js';

/** Ends a run with a list of what its skipped tests need, and the number of tests that need it. */
export default class SkippedReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const counts = new Map<string, number>();
    for (const module of modules) {
      for (const test of module.children.allTests('skipped')) {
        const what =
          test.meta().needs ?? `a reason: ${module.relativeModuleId} > ${test.fullName} gives none`;
        counts.set(what, (counts.get(what) ?? 0) + 1);
      }
    }
    if (counts.size === 0) return;
    const lines = [...counts].sort(([a], [b]) => a.localeCompare(b));
    const width = Math.max(...lines.map(([, count]) => String(count).length));
    console.log('\nSkipped tests need');
    for (const [what, count] of lines) console.log(`  ${String(count).padStart(width)}  ${what}`);
  }
}
