import type { Evaluation } from '../evaluation/schema.js';
import type { Mistake } from '../evaluation/mistakes.js';
import { escapeHtml } from '../util/escape-html.js';
import type { FollowedRun } from './followed-run.js';

/** Images that runs have assigned to wrong classes, with their nearest classes. */
export function mistakeCards(runs: readonly FollowedRun[]): string {
  return runs
    .map(({ drawn: { evaluation, name }, pictures }) => {
      if (!evaluation || evaluation.mistakes.length === 0) return '';
      const own = pictures?.of === evaluation ? pictures : undefined;
      const title = runs.length > 1 ? `<h3>${escapeHtml(name)}</h3>` : '';
      const missing = own?.missing ? `<p>No pictures: ${escapeHtml(own.missing)}</p>` : '';
      const cards = evaluation.mistakes.map((mistake, index) =>
        card(mistake, evaluation, own?.images[index]),
      );
      return `${title}${missing}<div class="mistakes">${cards.join('')}</div>`;
    })
    .join('');
}

function card(
  { image, label, nearest }: Mistake,
  { classNames, scale }: Evaluation,
  picture?: string,
): string {
  const nameOf = (of: number) => escapeHtml(classNames[of] ?? '?');
  const shown = picture
    ? `<img src="data:image/png;base64,${picture}" width="96" height="96" alt="test image ${image}">`
    : '';
  const classes = nearest.map(({ label: of, score }) => {
    const kind = of === label ? ' class="own"' : '';
    return `<li${kind}><span>${nameOf(of)}</span><span>${score.toFixed(3)}</span></li>`;
  });
  return `<figure class="card">${shown}<figcaption><p>image ${image} is <b>${nameOf(label)}</b>; by ${scale}:</p><ol>${classes.join('')}</ol></figcaption></figure>`;
}
