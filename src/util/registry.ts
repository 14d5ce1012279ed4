import { z } from 'zod';
import { UserError } from './errors.js';

/** One kind of thing that a section of a recipe chooses by its name, such as a loss. */
export interface Kind<Schema extends z.ZodObject = z.ZodObject> {
  /** What recipes say, or each of several names of a family. */
  name: string | readonly string[];
  /** Settings of the section; its `name` is a literal, or an enum for a family. */
  schema: Schema;
}

type UnionOf<BuiltIn extends readonly Kind[]> = z.ZodDiscriminatedUnion<
  { -readonly [Index in keyof BuiltIn]: BuiltIn[Index]['schema'] },
  'name'
>;

/** A requirement on a kind: what it must be, and whether it is. */
export type Rule = readonly [what: string, holds: (kind: Readonly<Record<string, unknown>>) => boolean];

interface RegistryOptions<BuiltIn> {
  /** Name of a kind in messages, such as `loss`. */
  what: string;
  /** Description of the section in help and editors. */
  description: string;
  /** Kinds that ship with pod-dist. */
  builtIn: BuiltIn;
  /** Settings that every schema must have, and where its author finds them. */
  settings?: { names: readonly string[]; advice: string };
  /** Rules for what a plug-in registers, besides name and schema. */
  rules: readonly Rule[];
}

/** Letters, digits and dashes, as in `am-softmax`. */
const wellFormed = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;

/** The kinds of one section of recipes, by name: those that ship with pod-dist, then those of plug-ins. */
export class Registry<Any extends Kind, const BuiltIn extends readonly Kind[]> {
  private readonly byName = new Map<string, Any>();
  private readonly origins = new Map<string, string>();
  private union: UnionOf<BuiltIn> | undefined;

  constructor(private readonly options: RegistryOptions<BuiltIn>) {
    for (const kind of options.builtIn) this.add(kind as unknown as Any);
  }

  /** Schema of the section: whatever is registered now. */
  get schema(): UnionOf<BuiltIn> {
    const kinds = [...new Set(this.byName.values())];
    this.union ??= z
      .discriminatedUnion('name', kinds.map(({ schema }) => schema) as unknown as [z.ZodObject])
      .describe(this.options.description) as unknown as UnionOf<BuiltIn>;
    return this.union;
  }

  get names(): readonly string[] {
    return [...this.byName.keys()];
  }

  find(name: string): Any | undefined {
    return this.byName.get(name);
  }

  /** Origin of what a plug-in or a program has registered; undefined for what ships with pod-dist. */
  originOf(name: string): string | undefined {
    return this.origins.get(name);
  }

  /**
   * Takes a kind that a plug-in or a program brings; unknown settings in its section are errors from now on.
   *
   * @returns a function that takes it out again
   * @throws UserError `PLUGIN_INVALID` for an object that is no such kind, or a name that is taken
   */
  register(kind: Any, origin: string): () => void {
    this.check(kind);
    const names = namesOf(kind);
    this.add({ ...kind, schema: kind.schema.strict() });
    for (const name of names) this.origins.set(name, origin);
    return () => {
      for (const name of names) {
        this.byName.delete(name);
        this.origins.delete(name);
      }
      this.union = undefined;
    };
  }

  private add(kind: Any): void {
    for (const name of namesOf(kind)) this.byName.set(name, kind);
    this.union = undefined;
  }

  private check(given: unknown): void {
    const { what, settings, rules } = this.options;
    if (typeof given !== 'object' || given === null) throw invalid(`a ${what} is registered as one object`);
    const { name, schema } = given as Record<string, unknown>;
    const names = this.checkNames(name);
    const called = `${what} ${names.join(', ')}`;
    const shape = shapeOf(schema);
    if (!shape || typeof (schema as { strict?: unknown }).strict !== 'function')
      throw invalid(`${called}: schema must be a z.strictObject({ name: z.literal('${names[0]}'), ... })`);
    const own = [...((schema as z.ZodObject)._zod.propValues?.name ?? [])].filter((one) => one !== undefined);
    if (own.length !== names.length || !names.every((one) => own.includes(one)))
      throw invalid(`${called}: the name in its schema must be z.literal('${names[0]}')`);
    const missing = settings?.names.filter((key) => !Object.hasOwn(shape, key)) ?? [];
    if (missing.length > 0)
      throw invalid(`${called}: its schema lacks ${missing.join(', ')}: ${settings?.advice}`);
    const broken = rules.find(([, holds]) => !holds(given as Record<string, unknown>));
    if (broken) throw invalid(`${called}: ${broken[0]}`);
  }

  private checkNames(name: unknown): string[] {
    const { what } = this.options;
    const names = [name]
      .flat()
      .map((one) => (typeof one === 'string' && wellFormed.test(one) ? one : undefined));
    if (names.length === 0 || names.includes(undefined))
      throw invalid(`the name of a ${what} is letters, digits, dots and dashes, not ${JSON.stringify(name)}`);
    for (const taken of names as string[]) {
      if (!this.byName.has(taken)) continue;
      const origin = this.origins.get(taken) ?? 'pod-dist itself';
      throw invalid(`${what} ${taken} is registered already, by ${origin}: choose another name`);
    }
    return names as string[];
  }
}

function invalid(fault: string): UserError {
  return new UserError('PLUGIN_INVALID', fault);
}

export function namesOf({ name }: Pick<Kind, 'name'>): readonly string[] {
  return typeof name === 'string' ? [name] : name;
}

/** The settings of an object schema of zod 4, whichever copy of zod has made it. */
function shapeOf(schema: unknown): object | undefined {
  const { def } = (schema as Partial<z.ZodObject> | null | undefined)?._zod ?? {};
  return def?.type === 'object' ? def.shape : undefined;
}

/** The rule that a member is a function. */
export function isFunction(name: string, signature: string): Rule {
  return [`${name} must be a function of ${signature}`, (kind) => typeof kind[name] === 'function'];
}
