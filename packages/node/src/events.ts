/** The events of a WebSocket beside `message`: real Events that Node's EventTarget dispatches. */

import { inspect } from 'node:util';
import { MessageEvent } from './message-event';
import {
  asInterface,
  requireArguments,
  toDictionary,
  toDOMString,
  toUnsignedShort,
  toUSVString,
} from './webidl';

type EventInit = NonNullable<ConstructorParameters<typeof Event>[1]>;

/** What a `CloseEvent` is made with. */
export interface CloseEventInit extends EventInit {
  wasClean?: boolean;
  code?: number;
  reason?: string;
}

/** The end of a connection (WebSockets Standard, "The CloseEvent interface"). */
export class CloseEvent extends Event {
  readonly #wasClean: boolean;
  readonly #code: number;
  readonly #reason: string;

  constructor(type: string, init: CloseEventInit = {}) {
    requireArguments(arguments.length, 1, "construct 'CloseEvent'");
    const members = toDictionary(init, "construct 'CloseEvent'");
    super(type, members as EventInit);
    const { code, reason, wasClean } = members;
    this.#code = code === undefined ? 0 : toUnsignedShort(code);
    this.#reason = reason === undefined ? '' : toUSVString(reason);
    this.#wasClean = Boolean(wasClean);
  }

  get wasClean(): boolean {
    return this.#wasClean;
  }

  get code(): number {
    return this.#code;
  }

  get reason(): string {
    return this.#reason;
  }
}

/** What an `ErrorEvent` is made with. */
export interface ErrorEventInit extends EventInit {
  message?: string;
  filename?: string;
  lineno?: number;
  colno?: number;
  error?: unknown;
}

/** An error as an event (HTML Standard, "The ErrorEvent interface"), as the package `ws` fires it. */
export class ErrorEvent extends Event {
  readonly #init: Required<Pick<ErrorEventInit, 'message' | 'filename' | 'lineno' | 'colno' | 'error'>>;

  constructor(type: string, init: ErrorEventInit = {}) {
    requireArguments(arguments.length, 1, "construct 'ErrorEvent'");
    const members = toDictionary(init, "construct 'ErrorEvent'");
    super(type, members as EventInit);
    const { colno, error, filename, lineno, message } = members;
    this.#init = {
      message: message === undefined ? '' : toDOMString(message),
      filename: filename === undefined ? '' : toUSVString(filename),
      lineno: Number(lineno ?? 0) >>> 0,
      colno: Number(colno ?? 0) >>> 0,
      error,
    };
  }

  get message(): string {
    return this.#init.message;
  }

  get filename(): string {
    return this.#init.filename;
  }

  get lineno(): number {
    return this.#init.lineno;
  }

  get colno(): number {
    return this.#init.colno;
  }

  get error(): unknown {
    return this.#init.error;
  }
}

asInterface(CloseEvent, 'CloseEvent', ['wasClean', 'code', 'reason']);
asInterface(ErrorEvent, 'ErrorEvent', ['message', 'filename', 'lineno', 'colno', 'error']);

let isJoined = false;

/**
 * Makes the events instances of the runtime's classes of the same names too, where it has others.
 *
 * Not before somebody listens to events: these classes are loaded with all of Node's `fetch`, which takes tens of
 * milliseconds and 13 MB in Node 22, and servers never need them.
 */
export function joinRuntime(): void {
  if (isJoined) return;
  isJoined = true;
  const runtime = globalThis as unknown as Record<string, { prototype: object } | undefined>;
  for (const own of [CloseEvent, ErrorEvent, MessageEvent]) {
    const theirs = runtime[own.name];
    if (theirs !== undefined && theirs !== own && !(own.prototype instanceof (theirs as never))) {
      Object.setPrototypeOf(own.prototype, theirs.prototype);
    }
  }
}

/**
 * The member of Node's EventInit that makes `isTrusted` true. It is no public name, so the constructor itself is
 * asked which symbol it reads; where it reads none, the events stay untrusted.
 */
const trust = (() => {
  let asked: symbol | undefined;
  new Event(
    '',
    new Proxy(
      {},
      {
        get: (_, key) => {
          if (typeof key === 'symbol' && key.description === 'kTrustEvent') asked = key;
        },
      },
    ),
  );
  return asked === undefined ? {} : { [asked]: true };
})();

export function openEvent(): Event {
  return new Event('open', trust);
}

/**
 * The `error` event of the standard: a plain Event. Why the connection failed is told beside it, in properties that
 * no enumeration shows, and where the event is printed.
 */
export function errorEvent(error: Error): Event {
  const hidden = { configurable: true, enumerable: false, writable: true };
  return Object.defineProperties(new Event('error', trust), {
    error: { ...hidden, value: error },
    message: { ...hidden, value: error.message },
    [inspect.custom]: {
      ...hidden,
      value: () => `Event { type: 'error', message: ${inspect(error.message)} }`,
    },
  });
}

export function closeEvent(wasClean: boolean, code: number, reason: string): Event {
  return new CloseEvent('close', { ...trust, wasClean, code, reason });
}
