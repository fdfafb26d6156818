/**
 * What the end of a connection says about the next one: whether to try again, and when the server wants that.
 */

import type { IncomingHttpHeaders } from 'node:http';
import type { EndCause } from './reconnection';

/**
 * Close codes behind which the next connection would end as this one did.
 *
 * | code | why |
 * |---|---|
 * | 1000 | the server is done |
 * | 1002, 1003, 1007, 1009, 1010 | what this side sent was wrong, and it would send it again |
 * | 1008, 3000, 3003 | it is not allowed |
 * | 4400 to 4499 | as the statuses 400 to 499 of HTTP |
 */
const TERMINAL_CODES: ReadonlySet<number> = new Set([1000, 1002, 1003, 1007, 1008, 1009, 1010, 3000, 3003]);

/** Statuses between 400 and 499 that say nothing about the next try: Request Timeout, Too Early, Too Many Requests. */
const PASSING_STATUSES: ReadonlySet<number> = new Set([408, 425, 429]);

/** Statuses above that no second try will change: Not Implemented, HTTP Version Not Supported. */
const FINAL_STATUSES: ReadonlySet<number> = new Set([501, 505]);

/** Whether trying again is pointless: `isTerminal` unless an application knows better. */
export function isTerminal({ code, error, status }: EndCause): boolean {
  if (status !== undefined) return isTerminalStatus(status);
  // A URL or a subprotocol that no socket can be made with.
  if (error instanceof DOMException && error.name === 'SyntaxError') return true;
  return TERMINAL_CODES.has(code) || (code >= 4400 && code <= 4499 && isTerminalStatus(code - 4000));
}

function isTerminalStatus(status: number): boolean {
  return (status >= 400 && status <= 499 && !PASSING_STATUSES.has(status)) || FINAL_STATUSES.has(status);
}

/** `retry-after=2`, `Retry-After: 1.5 s`, `retry after 300ms`; seconds unless told. */
const HINT = /\bretry[- ]after\s*[:=]?\s*(\d{1,9}(?:\.\d{1,9})?)\s*(ms|s)?\b/i;

/** The delay in milliseconds that the reason of a Close frame asks for, if any. */
export function retryAfterOfReason(reason: string): number | undefined {
  const [, number, unit] = HINT.exec(reason) ?? [];
  return number === undefined ? undefined : Number(number) * (unit?.toLowerCase() === 'ms' ? 1 : 1000);
}

/** The delay in milliseconds that the field Retry-After asks for (RFC 9110 section 10.2.3): seconds, or a date. */
export function retryAfterOfHeaders(headers: IncomingHttpHeaders, today: number): number | undefined {
  const value = headers['retry-after']?.trim() ?? '';
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000;
  const date = value.endsWith('GMT') ? Date.parse(value) : Number.NaN;
  return Number.isNaN(date) ? undefined : Math.max(date - today, 0);
}
