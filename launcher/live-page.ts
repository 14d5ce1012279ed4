import { hasDisplay, openPage } from '../src/ui/open-page.js';
import { PageBeside } from '../src/ui/page-beside.js';
import { messageOf } from '../src/util/errors.js';

/** The live page of a run that this process launches: it says its link, opens it where there is a display, and ends with the run. */
export class LivePage {
  private readonly opened: Promise<PageBeside | undefined>;
  private remove: () => void = () => {};

  constructor(
    private readonly folder: string,
    private readonly say: (line: string) => void,
    { open }: { open: boolean },
  ) {
    this.opened = this.begin(open).catch((error: unknown) => {
      say(`there is no live page: ${messageOf(error)}`);
      return undefined;
    });
  }

  async close(): Promise<void> {
    const page = await this.opened;
    this.remove();
    if (!page) return;
    const line = `the live page has ended with the launch: pod-dist ui ${this.folder} shows the run again`;
    await page.close(line);
    this.say(line);
  }

  private async begin(open: boolean): Promise<PageBeside> {
    const page = await PageBeside.open(this.folder);
    this.say(`live page: ${page.link}`);
    if (open && hasDisplay())
      try {
        this.remove = await openPage(page.link);
      } catch (error) {
        this.say(`no browser could be opened: ${messageOf(error)}`);
      }
    return page;
  }
}
