/** Reports the progress of slow work in a line, after two seconds and then every ten. */
export class SlowNotice {
  private next = performance.now() + 2000;

  constructor(
    private readonly what: string,
    private readonly notify: (line: string) => void,
  ) {}

  /** Call it often, with the amount done so far. */
  update(done: number, total?: number): void {
    if (performance.now() < this.next) return;
    this.next = performance.now() + 10_000;
    this.notify(`${this.what}: ${done}${total === undefined ? '' : ` of ${total}`}`);
  }
}
