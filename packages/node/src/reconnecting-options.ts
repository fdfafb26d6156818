/** What a `ReconnectingWebSocket` can be told, with the defaults and their reasons. */

import { isTerminal } from './end-cause';
import { type ClientOptions, type Keepalive, keepaliveFrom } from './options';
import type { EndCause, ReconnectionPolicy } from './reconnection';

/** A try to connect, as the functions see it that are asked for a URL, subprotocols or options. */
export interface Attempt {
  /** How many tries there were since the last good connection: 0 for the first. */
  readonly attempt: number;
  /** Why the connection, or the try, before this one ended. */
  readonly cause: EndCause | undefined;
  /** Aborted when the try is given up. */
  readonly signal: AbortSignal;
}

/** A value, or a function that gives one before each try, at once or later: to bring a fresh token, say. */
export type PerAttempt<Value> = Value | ((attempt: Attempt) => Value | Promise<Value>);

export type Address = PerAttempt<string | URL>;
export type Subprotocols = PerAttempt<string | readonly string[]>;

/** The options of a `ReconnectingWebSocket`. All times are milliseconds. */
export interface ReconnectingOptions extends Partial<ReconnectionPolicy> {
  /** Subprotocols, where the second argument is the options. */
  protocols?: Subprotocols | undefined;
  /** The options of each connection. */
  connection?: PerAttempt<ClientOptions> | undefined;
  /**
   * When a connection on which nothing is heard is given up: 10 s behind a ping, which is sent after 25 s without a byte,
   * less than the 60 s after which common proxies end it. `false` for never.
   */
  keepalive?: Keepalive | false | undefined;
  /** The most messages that wait for a connection: 1,024. */
  maxQueuedMessages?: number | undefined;
  /** The most bytes that wait, for a connection or in one: 16 MiB. No longer message can be sent. */
  maxQueuedBytes?: number | undefined;
}

/** All of it told. */
export interface ReconnectingSettings {
  policy: ReconnectionPolicy;
  keepalive: Keepalive | undefined;
  maxQueuedMessages: number;
  maxQueuedBytes: number;
}

const KEEPALIVE: Keepalive = { interval: 25_000, timeout: 10_000 };

const POLICY: ReconnectionPolicy = {
  // A person hardly notices half of it, and a server that restarts sees its clients spread over it.
  baseDelay: 1_000,
  // Long enough for a server that is down to recover, short enough for people to wait for.
  maxDelay: 30_000,
  // A mistaken server does not silence its clients for longer.
  maxRetryAfter: 300_000,
  // A connection that is lost right behind the opening handshake counts as a failed try.
  healthyAfter: 10_000,
  // The opening handshake and the functions that are asked before it.
  connectTimeout: 30_000,
  maxAttempts: Number.POSITIVE_INFINITY,
  isTerminal,
};

/** The settings that the options tell, checked. */
export function settingsFrom(options: ReconnectingOptions): ReconnectingSettings {
  const policy = { ...POLICY };
  for (const name of ['baseDelay', 'maxDelay', 'maxRetryAfter', 'healthyAfter', 'connectTimeout'] as const) {
    policy[name] = checked(name, options[name] ?? POLICY[name], MAX_TIME);
  }
  policy.maxAttempts = checked(
    'maxAttempts',
    options.maxAttempts ?? POLICY.maxAttempts,
    Number.POSITIVE_INFINITY,
  );
  policy.isTerminal = options.isTerminal ?? isTerminal;
  const { keepalive = KEEPALIVE } = options;
  return {
    policy,
    keepalive: keepalive === false ? undefined : keepaliveFrom({ keepalive }),
    maxQueuedMessages: checked('maxQueuedMessages', options.maxQueuedMessages ?? 1_024, MAX_AMOUNT),
    maxQueuedBytes: checked('maxQueuedBytes', options.maxQueuedBytes ?? 16 * 1024 * 1024, MAX_AMOUNT),
  };
}

/** The longest time that Node's timers take. */
const MAX_TIME = 2 ** 31 - 1;
const MAX_AMOUNT = Number.MAX_SAFE_INTEGER;

function checked(name: string, value: number, max: number): number {
  if ((Number.isSafeInteger(value) || value === Number.POSITIVE_INFINITY) && value >= 0 && value <= max)
    return value;
  throw new RangeError(`the option '${name}' is ${value}; it must be an integer from 0 to ${max}`);
}
