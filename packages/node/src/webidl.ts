/** The conversions of Web IDL that the classes of this package need, and its errors. */

/** A TypeError in the words that browsers use: `Failed to execute 'send' on 'WebSocket': …`. */
export function typeError(where: string, what: string): TypeError {
  return new TypeError(`Failed to ${where}: ${what}`);
}

/** Throws unless there are as many arguments as the interface requires. */
export function requireArguments(present: number, required: number, where: string): void {
  if (present >= required) return;
  const s = required === 1 ? '' : 's';
  throw typeError(where, `${required} argument${s} required, but only ${present} present.`);
}

/** DOMString: what `String` makes of the value, except that a symbol is an error. */
export function toDOMString(value: unknown): string {
  return typeof value === 'string' ? value : `${value as string}`;
}

/** USVString: lone surrogates become U+FFFD. */
export function toUSVString(value: unknown): string {
  const text = toDOMString(value);
  return /\p{Surrogate}/u.test(text) ? text.replace(/\p{Surrogate}/gu, '\uFFFD') : text;
}

/** `unsigned short`: modulo 2^16. */
export function toUnsignedShort(value: unknown): number {
  const number = toNumber(value);
  return Number.isFinite(number) ? Math.trunc(number) & 0xffff : 0;
}

/** `[Clamp] unsigned short`: the nearest number in range, an even one where two are as near. */
export function toClampedUnsignedShort(value: unknown): number {
  const number = Math.min(Math.max(toNumber(value) || 0, 0), 0xffff);
  const below = Math.floor(number);
  const rest = number - below;
  return rest < 0.5 || (rest === 0.5 && below % 2 === 0) ? below : below + 1;
}

/** `[EnforceRange] unsigned short`: the integer part, which has to be in range. */
export function toEnforcedUnsignedShort(value: unknown, where: string): number {
  const number = Math.trunc(toNumber(value));
  if (number >= 0 && number <= 0xffff) return number + 0;
  throw typeError(where, `the value ${number} is not in the range from 0 to 65535.`);
}

/** The language's ToNumber: unlike `Number(1n)`, an error for a BigInt. */
function toNumber(value: unknown): number {
  return +(value as number);
}

/** A dictionary: undefined and null are the empty one, other primitives an error. */
export function toDictionary(value: unknown, where: string): Record<string, unknown> {
  if (value === undefined || value === null) return {};
  if (typeof value === 'object' || typeof value === 'function') return value as Record<string, unknown>;
  throw typeError(where, 'the provided value is not of an object type that can be a dictionary.');
}

/** `(DOMString or sequence<DOMString>)` as a list; what is no iterable object counts as a string. */
export function toStrings(value: unknown): string[] {
  const isObject = (typeof value === 'object' && value !== null) || typeof value === 'function';
  const method = isObject ? (value as { [Symbol.iterator]?: unknown })[Symbol.iterator] : undefined;
  if (method === undefined || method === null) return [toDOMString(value)];
  if (typeof method !== 'function') throw new TypeError('the value of Symbol.iterator is not a function');
  return Array.from({ [Symbol.iterator]: () => Reflect.apply(method, value, []) }, toDOMString);
}

/** `sequence<DOMString>` as a list; a string is none. */
export function toSequence(value: unknown, where: string): string[] {
  if (typeof value === 'object' && value !== null && Symbol.iterator in value) return toStrings(value);
  throw typeError(where, 'the provided value cannot be converted to a sequence.');
}

/** Members of an interface are enumerable, and its name stands in `Object.prototype.toString`. */
export function asInterface(of: { prototype: object }, name: string, members: readonly string[]): void {
  for (const member of members) Object.defineProperty(of.prototype, member, { enumerable: true });
  Object.defineProperty(of, 'name', { value: name, configurable: true });
  Object.defineProperty(of.prototype, Symbol.toStringTag, { value: name, configurable: true });
}
