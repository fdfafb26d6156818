/**
 * The EventTarget's side of a socket with the manners of npm `ws`: listeners and handlers are listeners of the
 * emitter, in one order with the others, that make an event of what is emitted.
 */

import type { EventEmitter } from 'node:events';
import { closeEvent, ErrorEvent, openEvent } from './events';
import { messageEvent } from './message-event';

/** What `addEventListener` takes. */
export type AnyListener = ((event: never) => unknown) | { handleEvent(event: never): unknown };

type Socket = Pick<EventEmitter, 'listeners' | 'on' | 'once' | 'removeListener'> & { readonly url: string };

/** A listener of the emitter that stands for one of events. `listener` as a name would mean a listener for once. */
type Wrapper = ((...details: unknown[]) => void) & { heeds: AnyListener; isHandler: boolean };

/** How an event is made of what is emitted. */
const EVENTS: Record<string, (socket: Socket, ...details: unknown[]) => Event> = {
  open: openEvent,
  message: (socket, data, isBinary) => messageEvent(isBinary ? data : String(data), originOf(socket), socket),
  error: (_, error) => new ErrorEvent('error', { error, message: (error as Error).message }),
  close: (_, code, reason) => closeEvent(code !== 1006, code as number, String(reason)),
};

export function addListener(socket: Socket, type: string, listener: AnyListener, once: boolean): void {
  if (find(socket, type, (wrapper) => !wrapper.isHandler && wrapper.heeds === listener)) return;
  add(socket, type, listener, once, false);
}

export function removeListener(socket: Socket, type: string, listener: AnyListener): void {
  const wrapper = find(socket, type, (one) => !one.isHandler && one.heeds === listener);
  if (wrapper !== undefined) socket.removeListener(type, wrapper);
}

/** The value of `onopen` and the like. */
export function handlerOf(socket: Socket, type: string): AnyListener | null {
  return find(socket, type, (wrapper) => wrapper.isHandler)?.heeds ?? null;
}

export function setHandler(socket: Socket, type: string, value: unknown): void {
  const wrapper = find(socket, type, (one) => one.isHandler);
  if (wrapper !== undefined) socket.removeListener(type, wrapper);
  if (typeof value === 'function') add(socket, type, value as AnyListener, false, true);
}

/** Calls the listeners for the event's type, with the event as it is. */
export function dispatch(socket: Socket, event: Event): boolean {
  const target = aimed(event, socket);
  for (const wrapper of socket.listeners(event.type) as Wrapper[]) {
    if (wrapper.heeds !== undefined) call(socket, wrapper.heeds, target);
  }
  return !event.defaultPrevented;
}

function add(socket: Socket, type: string, listener: AnyListener, once: boolean, isHandler: boolean): void {
  const make = EVENTS[type];
  if (make === undefined) return;
  const emitted = (...details: unknown[]) => {
    const event = make(socket, ...details);
    call(socket, listener, type === 'message' ? event : aimed(event, socket));
  };
  const wrapper: Wrapper = Object.assign(emitted, { heeds: listener, isHandler });
  if (once) socket.once(type, wrapper);
  else socket.on(type, wrapper);
}

function call(socket: Socket, listener: AnyListener, event: Event): void {
  if (typeof listener === 'function') Reflect.apply(listener, socket, [event]);
  else listener.handleEvent(event as never);
}

function find(socket: Socket, type: string, matches: (wrapper: Wrapper) => boolean): Wrapper | undefined {
  return (socket.listeners(type) as Wrapper[]).find((one) => one.heeds !== undefined && matches(one));
}

/** A server's socket has no URL, and so no origin. */
function originOf({ url }: Socket): string {
  return url === '' ? '' : new URL(url).origin;
}

/** The event with its target, which only an EventTarget that dispatches it would set. */
function aimed(event: Event, target: Socket): Event {
  const property = { value: target, configurable: true, enumerable: true };
  return Object.defineProperties(event, { target: property, currentTarget: property });
}
