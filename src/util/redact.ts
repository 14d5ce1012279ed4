import { isIP } from 'node:net';

/** What a text must not show, and the word in its place. */
export interface Hidden {
  text: string;
  instead: string;
}

/** Values of settings and headers whose names say that they are secret, and user names and passwords in addresses. */
const secretPatterns: readonly [RegExp, string][] = [
  [
    /\b(\w*(?:token|secret|passw(?:or)?d|api[_-]?key|credentials?|authorization)["']?\s*[:=]\s*["']?)(?:bearer |basic )?[^\s"',}]+/gi,
    '$1<secret>',
  ],
  [/\b((?:https?|s3|ssh|tcp):\/\/)[^\s/@]+@/gi, '$1<user>@'],
];
/** What may be an address. */
const ipv4 = /\b\d+(?:\.\d+){3}\b/g;
const ipv6 = /(?<![\w:])[0-9a-f]*:[0-9a-f]*:[0-9a-f:]*(?![\w:])/gi;
/** Addresses that say nothing about anybody. */
const ownAddress = /^(?:127\.|0\.0\.0\.0$|::1?$)/;
/** A word, and the number that files of a class have behind its name. */
const wordPattern = /[\w-]+/g;
const numberAtEnd = /[_-]?\d+$/;

/**
 * Removes secrets and names from texts that go to somebody else. The same address gets the same word in every text.
 *
 * What a secret looks like is known by its value (`hidden`) or by the name of its setting; so a text should be read before
 * it is sent all the same.
 */
export class Redactor {
  /** Names that are one word, which are looked up: there may be as many as classes. */
  private readonly words = new Map<string, string>();
  /** Other texts, the longest first. */
  private readonly others: readonly (readonly [RegExp, string])[];
  private readonly addresses = new Map<string, string>();

  constructor(hidden: readonly Hidden[]) {
    const others = new Map<string, string>();
    for (const { text, instead } of hidden.filter(({ text }) => text.length > 1))
      (/^[\w-]+$/.test(text) ? this.words : others).set(text, instead);
    this.others = [...others]
      .toSorted(([a], [b]) => b.length - a.length)
      .map(([text, instead]) => [standingAlone(text), instead]);
  }

  redact(text: string): string {
    let clean = text;
    for (const [pattern, instead] of this.others) clean = clean.replace(pattern, () => instead);
    clean = clean.replace(wordPattern, (word) => this.words.get(word) ?? this.withoutNumber(word));
    for (const [pattern, instead] of secretPatterns) clean = clean.replace(pattern, instead);
    const word = (address: string) => this.wordFor(address);
    return clean.replace(ipv4, word).replace(ipv6, word);
  }

  private withoutNumber(word: string): string {
    const [number = ''] = numberAtEnd.exec(word) ?? [];
    const instead = this.words.get(word.slice(0, word.length - number.length));
    return instead === undefined ? word : instead + number;
  }

  private wordFor(address: string): string {
    if (isIP(address) === 0 || ownAddress.test(address)) return address;
    const word = this.addresses.get(address) ?? `<address-${this.addresses.size + 1}>`;
    this.addresses.set(address, word);
    return word;
  }
}

function standingAlone(text: string): RegExp {
  const escaped = text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`(?<![\\w-])${escaped}(?![\\w-])`, 'g');
}
