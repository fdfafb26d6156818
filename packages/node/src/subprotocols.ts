/** The subprotocols that a client offers: the constructor's argument to a list of tokens. */

import { toStrings } from './webidl';

/** A token of HTTP (RFC 2616 section 2.2, which RFC 6455 section 4.1 refers to). */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** The standard's conversion and check for the class with this name; throws its SyntaxError. */
export function toSubprotocols(value: unknown, className: string): string[] {
  const names = value === undefined ? [] : toStrings(value);
  const seen = new Set<string>();
  for (const name of names) {
    const folded = name.toLowerCase();
    if (!TOKEN.test(name))
      throw syntaxError(className, name, 'it is empty or has a character that a token cannot have');
    if (seen.has(folded)) throw syntaxError(className, name, 'it is offered twice');
    seen.add(folded);
  }
  return names;
}

/** The check of npm `ws`: strings only, told apart by case. */
export function checkSubprotocols(names: readonly unknown[]): asserts names is readonly string[] {
  const isUsable = (name: unknown) => typeof name === 'string' && TOKEN.test(name);
  if (new Set(names).size < names.length || !names.every(isUsable)) {
    throw new SyntaxError('An invalid or duplicated subprotocol was specified');
  }
}

function syntaxError(className: string, name: string, why: string): DOMException {
  const message = `Failed to construct '${className}': the subprotocol '${name}' is invalid: ${why}.`;
  return new DOMException(message, 'SyntaxError');
}
