/**
 * The methods of an EventEmitter for a class that extends something else.
 *
 * They are Node's own functions: they keep listeners in properties of the object that they are called on and ask for
 * nothing else.
 */

import { EventEmitter } from 'node:events';

/** What an EventEmitter can do. */
export type Emitter = Pick<EventEmitter, (typeof METHODS)[number]>;

const METHODS = [
  'addListener',
  'emit',
  'eventNames',
  'getMaxListeners',
  'listenerCount',
  'listeners',
  'off',
  'on',
  'once',
  'prependListener',
  'prependOnceListener',
  'rawListeners',
  'removeAllListeners',
  'removeListener',
  'setMaxListeners',
] as const;

const ADDERS: readonly string[] = ['addListener', 'on', 'prependListener'];

/** Gives the prototype the methods of an EventEmitter; `listened` is told of an object that got a listener. */
export function makeEmitter<T extends object>(prototype: T, listened: (object: T) => void): void {
  for (const name of METHODS) {
    const method: (...parameters: never[]) => unknown = EventEmitter.prototype[name];
    const value = ADDERS.includes(name)
      ? function (this: T, ...parameters: never[]) {
          Reflect.apply(method, this, parameters);
          listened(this);
          return this;
        }
      : method;
    Object.defineProperty(prototype, name, { value, configurable: true, enumerable: false, writable: true });
  }
}

/** Whether somebody listens to this event on the emitter's side. */
export function isHeard(emitter: object, event: string): boolean {
  return (emitter as { _events?: Record<string, unknown> })._events?.[event] !== undefined;
}
