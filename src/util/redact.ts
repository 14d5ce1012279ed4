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
/** A name that is as short as this is replaced only where it stands alone. */
const shortName = 3;

/**
 * Removes secrets and names from texts that go to somebody else. The same address gets the same word in every text.
 *
 * What a secret looks like is known by its value (`hidden`) or by the name of its setting; so a text should be read before
 * it is sent all the same.
 */
export class Redactor {
  private readonly hidden: readonly Hidden[];
  private readonly addresses = new Map<string, string>();

  constructor(hidden: readonly Hidden[]) {
    const known = new Map(hidden.filter(({ text }) => text.length > 1).map((one) => [one.text, one]));
    this.hidden = [...known.values()].toSorted((a, b) => b.text.length - a.text.length);
  }

  redact(text: string): string {
    let clean = text;
    for (const { text: name, instead } of this.hidden) clean = replaceAll(clean, name, instead);
    for (const [pattern, instead] of secretPatterns) clean = clean.replace(pattern, instead);
    const word = (address: string) => this.wordFor(address);
    return clean.replace(ipv4, word).replace(ipv6, word);
  }

  private wordFor(address: string): string {
    if (isIP(address) === 0 || ownAddress.test(address)) return address;
    const word = this.addresses.get(address) ?? `<address-${this.addresses.size + 1}>`;
    this.addresses.set(address, word);
    return word;
  }
}

function replaceAll(text: string, name: string, instead: string): string {
  if (name.length > shortName && /\W/.test(name)) return text.replaceAll(name, instead);
  const escaped = name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return text.replace(new RegExp(`(?<![\\w-])${escaped}(?![\\w-])`, 'g'), instead);
}
