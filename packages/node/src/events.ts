/**
 * The events of a WebSocket: real Events that Node's EventTarget dispatches.
 *
 * Where the runtime has the classes, they are the runtime's, so that `instanceof` holds whichever name is used.
 */

import { inspect } from 'node:util';
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
class OwnCloseEvent extends Event {
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
class OwnErrorEvent extends Event {
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

asInterface(OwnCloseEvent, 'CloseEvent', ['wasClean', 'code', 'reason']);
asInterface(OwnErrorEvent, 'ErrorEvent', ['message', 'filename', 'lineno', 'colno', 'error']);

interface Runtime {
  CloseEvent?: typeof OwnCloseEvent;
  ErrorEvent?: typeof OwnErrorEvent;
  MessageEvent: MessageEventConstructor;
}

/** A message as an event (HTML Standard, "The MessageEvent interface"). */
export interface MessageEvent<Data = unknown> extends Event {
  readonly data: Data;
  readonly origin: string;
  readonly lastEventId: string;
  readonly source: unknown;
  readonly ports: readonly unknown[];
}

interface MessageEventConstructor {
  prototype: MessageEvent;
  new <Data>(type: string, init?: EventInit & { data?: Data; origin?: string }): MessageEvent<Data>;
}

const runtime = globalThis as unknown as Runtime;
export const CloseEvent = runtime.CloseEvent ?? OwnCloseEvent;
export type CloseEvent = OwnCloseEvent;
export const ErrorEvent = runtime.ErrorEvent ?? OwnErrorEvent;
export type ErrorEvent = OwnErrorEvent;
export const MessageEvent = runtime.MessageEvent;

const NO_PORTS: readonly unknown[] = Object.freeze([]);

/**
 * A MessageEvent as a connection fires it. It is one for `instanceof` and in every attribute, but is made by a plain
 * constructor: the runtime's converts each member of a dictionary, which costs more than the rest of a message's way.
 */
class FiredMessageEvent extends Event {
  readonly #data: unknown;
  readonly #origin: string;
  readonly #target: unknown;

  constructor(data: unknown, origin: string, target: unknown) {
    super('message');
    this.#data = data;
    this.#origin = origin;
    this.#target = target;
  }

  override get target(): EventTarget | null {
    return (this.#target as EventTarget | undefined) ?? super.target;
  }

  override get currentTarget(): EventTarget | null {
    return (this.#target as EventTarget | undefined) ?? super.currentTarget;
  }

  get data(): unknown {
    return this.#data;
  }

  get origin(): string {
    return this.#origin;
  }

  get lastEventId(): string {
    return '';
  }

  get source(): unknown {
    return null;
  }

  get ports(): readonly unknown[] {
    return NO_PORTS;
  }

  override get isTrusted(): boolean {
    return true;
  }
}

asInterface(FiredMessageEvent, 'MessageEvent', ['data', 'origin', 'lastEventId', 'source', 'ports']);
Object.setPrototypeOf(FiredMessageEvent.prototype, MessageEvent.prototype);
Object.defineProperty(FiredMessageEvent.prototype, 'constructor', { value: MessageEvent });

/** A message; with a target only where no EventTarget is going to dispatch it. */
export function messageEvent(data: unknown, origin: string, target?: unknown): Event {
  return new FiredMessageEvent(data, origin, target);
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
