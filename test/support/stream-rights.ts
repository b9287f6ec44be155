import { exampleOf } from './markdown.js';
import { readPage } from './pages.js';

/** Users in the permissions of `docs/stream.md`. */
export type StreamUser = 'gateway' | 'writer' | 'reader';

/** One permission of one user. */
export interface StreamRight {
  readonly user: StreamUser;
  /** With wildcards, as the page has it. */
  readonly subject: string;
}

/** The page has passwords of the server's environment; here each user's is its name. */
const PASSWORDS = ['gateway', 'writer', 'reader'].map(
  (user) => `${user.toUpperCase()}_PASSWORD: "${user}"\n`,
);
const SUBJECT = /^ +"([^"]+)"/gm;
const USER = /user: (\w+),/g;

/** The permissions of `docs/stream.md` as the configuration of a server. */
export class StreamRights {
  private constructor(
    /** All of the page. */
    readonly text: string,
  ) {}

  static async read(): Promise<StreamRights> {
    const example = exampleOf(await readPage('docs/stream.md'), 'nats-permissions');
    return new StreamRights(PASSWORDS.join('') + example);
  }

  /** Without the lines of which the page says that only several stores need them. */
  get forOneStore(): string {
    const lines = this.text.split('\n');
    return lines.filter((line) => !line.includes('# retention: interest')).join('\n');
  }

  /** Every permission in a text. */
  in(text: string): StreamRight[] {
    return [...text.matchAll(SUBJECT)].map(({ 1: subject, index }) => {
      const users = [...text.slice(0, index).matchAll(USER)];
      return { user: users.at(-1)![1] as StreamUser, subject: subject! };
    });
  }

  without(text: string, { user, subject }: StreamRight): string {
    const quoted = `"${subject}"`;
    const at = text.indexOf(quoted, text.indexOf(`user: ${user},`));
    // An empty list would allow everything.
    return `${text.slice(0, at)}"none"${text.slice(at + quoted.length)}`;
  }

  /** Matches the subjects that a permission allows, or the permission. */
  patternOf(subject: string): string {
    const escaped = subject.replaceAll(/[$.]/g, String.raw`\$&`);
    return escaped.replaceAll('*', String.raw`[\w-]+`).replace('>', String.raw`\S+`);
  }
}
