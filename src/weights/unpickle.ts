/** A class or function that a pickle names; none is ever looked up or called. */
export class Named {
  constructor(readonly name: string) {}
}

/** What `persistentId` stands for. */
export interface PersistentId {
  id: unknown;
}

/** Values of the stack: JavaScript's own, lists and tuples as arrays, dictionaries as maps. */
type Rebuild = (name: string, args: readonly unknown[]) => unknown;

interface UnpickleOptions {
  /** Names of the only classes and functions that may occur. */
  allowed: ReadonlySet<string>;
  /** The value of a persistent id, such as a storage. */
  load(id: unknown): unknown;
  /** The value of a call of an allowed name. */
  call: Rebuild;
}

/** Values on the stack, or in the memo, at most. */
const mostValues = 4_000_000;

/**
 * Reads the pickles that PyTorch writes for tensors, and executes nothing: of Python's pickle machine it has the opcodes for
 * plain values, and calls and classes that are on a list. Whatever else stands in a pickle ends the reading.
 *
 * @throws Error in words that continue "it", such as "names os.system, which is not allowed"
 */
export function unpickle(bytes: Buffer, { allowed, load, call }: UnpickleOptions): unknown {
  const stack: unknown[] = [];
  const marks: number[] = [];
  const memo = new Map<number, unknown>();
  let at = 0;

  const take = (length: number): Buffer => {
    if (at + length > bytes.length) throw new Error('ends early');
    return bytes.subarray(at, (at += length));
  };
  const line = (): string => {
    const end = bytes.indexOf(0x0a, at);
    if (end < 0) throw new Error('ends early');
    const text = bytes.toString('latin1', at, end);
    at = end + 1;
    return text;
  };
  const push = (value: unknown): void => {
    if (stack.length >= mostValues) throw new Error('holds too many values');
    stack.push(value);
  };
  const pop = (): unknown => {
    if (stack.length <= (marks.at(-1) ?? 0)) throw new Error('takes a value where there is none');
    return stack.pop();
  };
  const sinceMark = (): unknown[] => {
    const mark = marks.pop();
    if (mark === undefined) throw new Error('goes back to a mark where there is none');
    return stack.splice(mark);
  };
  const top = <T>(is: (value: unknown) => value is T): T => {
    const value = stack.at(-1);
    if (stack.length <= (marks.at(-1) ?? 0) || !is(value))
      throw new Error('adds to what is no list or dictionary');
    return value;
  };
  const named = (module: unknown, name: unknown): Named => {
    const whole = `${String(module)}.${String(name)}`;
    if (!allowed.has(whole)) throw new Error(`names ${whole.slice(0, 100)}, which is not allowed`);
    return new Named(whole);
  };
  const remember = (index: number): void => {
    if (memo.size >= mostValues) throw new Error('holds too many values');
    memo.set(index, stack.at(-1));
  };
  const recall = (index: number): void => {
    if (!memo.has(index)) throw new Error('recalls a value that it has not kept');
    push(memo.get(index));
  };
  const set = (pairs: readonly unknown[]): void => {
    const target = top(isMap);
    for (let index = 0; index + 1 < pairs.length; index += 2) target.set(pairs[index], pairs[index + 1]);
  };
  const text = (length: number) => push(take(length).toString('utf8'));

  const perform: Readonly<Record<number, () => void>> = {
    0x80: () => take(1),
    0x95: () => take(8),
    [code('(')]: () => marks.push(stack.length),
    [code('0')]: () => pop(),
    [code('N')]: () => push(null),
    0x88: () => push(true),
    0x89: () => push(false),
    [code('K')]: () => push(take(1).readUInt8()),
    [code('M')]: () => push(take(2).readUInt16LE()),
    [code('J')]: () => push(take(4).readInt32LE()),
    [code('G')]: () => push(take(8).readDoubleBE()),
    0x8a: () => push(integer(take(take(1).readUInt8()))),
    [code('X')]: () => text(take(4).readUInt32LE()),
    0x8c: () => text(take(1).readUInt8()),
    [code('}')]: () => push(new Map()),
    [code(']')]: () => push([]),
    [code(')')]: () => push([]),
    [code('t')]: () => push(sinceMark()),
    0x85: () => push([pop()]),
    0x86: () => push([pop(), pop()].reverse()),
    0x87: () => push([pop(), pop(), pop()].reverse()),
    [code('s')]: () => set([pop(), pop()].reverse()),
    [code('u')]: () => set(sinceMark()),
    [code('a')]: () => {
      const value = pop();
      top(Array.isArray).push(value);
    },
    [code('e')]: () => {
      const values = sinceMark();
      const list = top(Array.isArray);
      for (const value of values) list.push(value);
    },
    [code('q')]: () => remember(take(1).readUInt8()),
    [code('r')]: () => remember(take(4).readUInt32LE()),
    0x94: () => remember(memo.size),
    [code('h')]: () => recall(take(1).readUInt8()),
    [code('j')]: () => recall(take(4).readUInt32LE()),
    [code('c')]: () => push(named(line(), line())),
    0x93: () => push(named(...([pop(), pop()].reverse() as [unknown, unknown]))),
    [code('Q')]: () => push(load(pop())),
    [code('R')]: () => {
      const [args, callee] = [pop(), pop()];
      if (!(callee instanceof Named) || !Array.isArray(args)) throw new Error('calls what is no function');
      push(call(callee.name, args));
    },
    // Attributes of a dictionary, such as the versions of a module: nothing that is read here.
    [code('b')]: () => {
      pop();
      top(isMap);
    },
  };

  for (;;) {
    const operation = take(1).readUInt8();
    if (operation === code('.')) return pop();
    const run = perform[operation];
    if (!run) throw new Error(`has the operation 0x${operation.toString(16)}, which is not allowed`);
    run();
  }
}

function code(character: string): number {
  return character.charCodeAt(0);
}

function isMap(value: unknown): value is Map<unknown, unknown> {
  return value instanceof Map;
}

/** A whole number of so many bytes, little-endian and signed. */
function integer(bytes: Buffer): number {
  const digits = Buffer.from(bytes).reverse().toString('hex');
  const value = BigInt.asIntN(8 * bytes.length, BigInt(`0x${digits || '0'}`));
  return Number(value);
}
