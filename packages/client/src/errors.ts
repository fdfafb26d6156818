/** Why something was not done: one class, and codes that stay. README.md says what to do about each. */

/** What the server may say. docs/protocol.md has the same table. */
export type ServerErrorCode =
  | 'bad_request'
  | 'unknown_type'
  | 'channel_name'
  | 'unknown_namespace'
  | 'unauthorized'
  | 'forbidden'
  | 'already_subscribed'
  | 'not_subscribed'
  | 'too_many_channels'
  | 'too_large'
  | 'not_kept'
  | 'conflict'
  | 'rate'
  | 'unavailable'
  | 'internal';

/** What the client itself may say. */
export type ClientErrorCode =
  | 'closed'
  | 'uncertain'
  | 'disconnected'
  | 'queue_full'
  | 'bad_data'
  | 'unsubscribed'
  | 'gap'
  | 'overflow';

/** A newer server may say what this client does not know. */
export type ErrorCode = ServerErrorCode | ClientErrorCode | (string & {});

export interface VaivenErrorOptions extends ErrorOptions {
  /** Milliseconds to wait before it makes sense to try again. */
  retry?: number | undefined;
}

/** Every promise of this package that is rejected is rejected with one of these. */
export class VaivenError extends Error {
  override readonly name = 'VaivenError';
  readonly code: ErrorCode;
  /** Milliseconds to wait before it makes sense to try again, if the server said so. */
  readonly retry: number | undefined;

  constructor(code: ErrorCode, message: string, { retry, ...options }: VaivenErrorOptions = {}) {
    super(message, options);
    this.code = code;
    this.retry = retry;
  }
}
