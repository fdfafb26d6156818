/**
 * The engine of a thread: batches of records from the native core to handlers, messages of senders to the native core.
 *
 * It knows neither the classes above it nor how bytes travel: `Link` (link.ts) is one connection, and a transport
 * carries its bytes. One walk over the records happens at a time; what arrives meanwhile waits for its turn.
 */

import type { Link } from './link';
import { native } from './native';
import * as memory from './shared-memory';
import { allocateAmounts, Flags, Header, Send, Size, type SlicedBuffer, Told } from './shared-memory';

/** Who is asked, before time acts, whether its peer takes what is sent to it. */
export interface Watched {
  /** False: there is nothing to watch any more. */
  watch(): boolean;
}

/** Where bytes come from that are to be decoded: a transport over a stream. */
export interface Source {
  /** The bytes to be decoded next; undefined where there are none now. */
  next(): Buffer | undefined;
  /** There are no more, and will not be: called once `next` gave nothing, each time that it is asked for. */
  settle(): void;
  readonly link: Link;
}

/** Connections that the amounts have room for at first. */
const FIRST_CONNECTIONS = 256;
/** How often time acts on unfinished messages and on keepalive, in milliseconds. */
const TICK = 1000;
/** Strings of more UTF-8 than this may become are encoded by themselves. */
const MAX_SHARED_TEXT = 16 * 1024;
/** Bytes from this many on are passed by themselves: the native core frames them with one copy instead of two. */
const MIN_PASSED = 4 * 1024;
const EMPTY = Buffer.alloc(0) as SlicedBuffer;

// Constants of this module, which the compiler can fold; what is imported is looked up each time.
const { aside, outgoing, outgoingRecords, records, slab } = memory;

// Kept from here on: tests replace the global ones with clocks of their own.
const { setInterval, clearInterval, setImmediate } = globalThis;
const { nextTick } = process;

const links: (Link | undefined)[] = [];
let linkCount = 0;
let timer: NodeJS.Timeout | undefined;
let amounts = allocateAmounts(FIRST_CONNECTIONS);

native.create(records.buffer, aside.buffer, outgoingRecords.buffer, outgoing.buffer, amounts.buffer);

/** What the records that are being walked over refer to. */
let read: SlicedBuffer = EMPTY;
/** The source that is being decoded, and how far its bytes are. */
let source: Source | undefined;
let start = 0;
const sources: Source[] = [];

const watched = new Set<Watched>();

let isFlushPlanned = false;

/** Whether the native core reads sockets itself, once that was tried. */
let hasJoined: boolean | undefined;
/** Connections for whose sake the process stays alive. */
let references = 0;

/** Whether the native core can read sockets itself, on this thread's event loop. */
export function joinsEventLoop(): boolean {
  hasJoined ??=
    process.env.VAIVEN_TRANSPORT !== 'stream' &&
    process.versions.bun === undefined &&
    process.versions.deno === undefined &&
    native.joinEventLoop(slab.buffer, dispatch);
  return hasJoined;
}

/** The process stays alive for one more connection of the event loop. */
export function reference(): void {
  if (references++ === 0) {
    native.keepAlive(true);
  }
}

export function unreference(): void {
  if (--references === 0) {
    native.keepAlive(false);
  }
}

/** Makes a connection known under its number. */
export function add(link: Link, id: number): void {
  if (id >= amounts.length) {
    const larger = allocateAmounts(amounts.length * 2);
    larger.set(amounts);
    amounts = larger;
    native.setAmounts(larger.buffer);
  }
  amounts[id] = 0;
  links[id] = link;
  linkCount++;
  if (timer === undefined) {
    timer = setInterval(tick, TICK);
    timer.unref();
  }
}

/** Tells no more records of a connection. */
export function silence(id: number): void {
  links[id] = undefined;
}

/** Forgets a connection. */
export function remove(id: number): void {
  links[id] = undefined;
  linkCount--;
  native.release(id);
  if (linkCount === 0) {
    clearInterval(timer);
    timer = undefined;
  }
}

/** Asks, once a second, whether a peer takes what is sent to it. */
export function watch(one: Watched): void {
  watched.add(one);
}

/** How many awaited messages are among what was taken last. */
export function awaitedOfTaken(): number {
  return records[Header.Awaited] as number;
}

/** Payload bytes that wait in a connection. */
export function amountOf(id: number): number {
  return amounts[id] as number;
}

/** Payload bytes of a stream were written. */
export function settleAmount(id: number, bytes: number): void {
  amounts[id] = (amounts[id] as number) - bytes;
}

/** Sends a string as UTF-8; lone surrogates become U+FFFD. Gives the payload's length in bytes. */
export function sendText(id: number, text: string, flags: number): number {
  // No character takes more than three bytes for each of its UTF-16 units.
  const most = text.length * 3;
  if (most > MAX_SHARED_TEXT) {
    return sendBytes(id, Buffer.from(text), flags | Send.Text);
  }
  makeRoom(most);
  const length = outgoing.utf8Write(text, records[Header.OutBytes] as number, most);
  push(id, flags | Send.Text, length);
  return length;
}

/** Sends bytes. Gives their number. */
export function sendBytes(id: number, bytes: Uint8Array, flags: number): number {
  const length = bytes.length;
  if (length >= MIN_PASSED) {
    amounts[id] = (amounts[id] as number) + length;
    native.send(id, flags, bytes);
    planFlush();
    return length;
  }
  makeRoom(length);
  outgoing.set(bytes, records[Header.OutBytes] as number);
  push(id, flags, length);
  return length;
}

/** Sends one message to many connections. */
export function publish(ids: readonly number[], bytes: Uint8Array, flags: number): void {
  native.publish(new Uint8Array(Uint32Array.from(ids).buffer), flags, bytes);
  planFlush();
}

/** Sends a part of a message; `part` is that of `Native.sendFragment`. */
export function sendFragment(id: number, part: number, bytes: Uint8Array, isAwaited: boolean): void {
  amounts[id] = (amounts[id] as number) + bytes.length;
  native.sendFragment(id, part, bytes, isAwaited);
  planFlush();
}

/** Sends a control frame. */
export function control(id: number, opcode: 'ping' | 'pong' | 'answerPing', payload: Uint8Array): void {
  native[opcode](id, payload);
  planFlush();
}

function makeRoom(bytes: number): void {
  if (
    records[Header.OutCount] === Size.Records ||
    (records[Header.OutBytes] as number) + bytes > Size.Outgoing
  ) {
    flush();
  }
}

function push(id: number, flags: number, length: number): void {
  const count = records[Header.OutCount] as number;
  const offset = records[Header.OutBytes] as number;
  const at = count * 4;
  outgoingRecords[at] = id;
  outgoingRecords[at + 1] = flags;
  outgoingRecords[at + 2] = offset;
  outgoingRecords[at + 3] = length;
  records[Header.OutCount] = count + 1;
  records[Header.OutBytes] = offset + length;
  amounts[id] = (amounts[id] as number) + length;
  planFlush();
}

/** Sees to it that what was queued is written at the end of this tick, or of the batch that is running. */
export function planFlush(): void {
  if (!isFlushPlanned && records[Header.InBatch] === 0) {
    isFlushPlanned = true;
    nextTick(flushPlanned);
  }
}

function flushPlanned(): void {
  isFlushPlanned = false;
  flush();
}

/** Writes everything that waits. */
export function flush(): void {
  if (native.flush()) {
    run();
  }
}

/** A source has something to decode, or has ended. */
export function request(requester: Source): void {
  sources.push(requester);
  run();
}

/** Called by the native core with each batch of its own, and after it when something was left to be told. */
function dispatch(): void {
  if (records[Header.InBatch] === 0) {
    run();
    return;
  }
  read = slab;
  walk();
}

/** Works until nothing is left, unless somebody does already. */
function run(): void {
  if (records[Header.Walking] !== 0) {
    records[Header.Waiting] = 1;
    return;
  }
  records[Header.Walking] = 1;
  resume();
}

function resume(): void {
  let isDone = false;
  try {
    isDone = work();
  } finally {
    if (isDone) {
      records[Header.Walking] = 0;
    } else {
      // The next event is a task of its own: microtasks that wait run to their end, then ticks. An exception of a
      // handler is on its way to where uncaught ones go; what is behind it is told afterwards.
      queueMicrotask(planResume);
    }
  }
}

function planResume(): void {
  nextTick(resume);
}

/** Tells what there is to tell. False: the rest is to be told in a task of its own. */
function work(): boolean {
  for (;;) {
    if (!walk()) {
      return false;
    }
    if (source !== undefined && start < read.length && source.link.id >= 0) {
      start = native.feed(source.link.id, read, start);
    } else if (native.collect() === 0 && !takeSource()) {
      return true;
    }
  }
}

/** Begins with the next bytes of a source. False: no source has any. */
function takeSource(): boolean {
  source = undefined;
  read = EMPTY;
  start = 0;
  for (;;) {
    const first = sources[0];
    if (first === undefined) {
      return false;
    }
    const bytes = first.link.id >= 0 ? first.next() : undefined;
    if (bytes !== undefined) {
      source = first;
      read = bytes as SlicedBuffer;
      return true;
    }
    sources.shift();
    first.settle();
  }
}

/** Tells the records from the cursor on. False: a handler asked for a pause before the next one. */
function walk(): boolean {
  const count = records[Header.Count] as number;
  let index = records[Header.Cursor] as number;
  while (index < count) {
    const at = Header.Words + index * 4;
    index++;
    // Before the handler: it may throw, and is not to be called for this record again.
    records[Header.Cursor] = index;
    const link = links[records[at] as number];
    if (link !== undefined) {
      const pause = tell(
        link,
        records[at + 1] as number,
        records[at + 2] as number,
        records[at + 3] as number,
      );
      if (pause === true) {
        return false;
      }
    }
  }
  return true;
}

/** Tells one record. */
function tell(link: Link, kindAndFlags: number, offset: number, length: number): boolean | undefined {
  const kind = kindAndFlags & Flags.KindMask;
  if (kind <= Told.Ascii) {
    if ((kindAndFlags & (Flags.InAside | Flags.Owned)) === 0) {
      return link.handler.message(read, offset, offset + length, kind, false);
    }
    if ((kindAndFlags & Flags.InAside) !== 0) {
      return link.handler.message(aside, offset, offset + length, kind, false);
    }
    const bytes = native.takeOwned(offset) as SlicedBuffer;
    return link.handler.message(bytes, 0, bytes.length, kind, true);
  }
  switch (kind) {
    case Told.Ping:
      return link.toldPing(Buffer.from(aside.subarray(offset, offset + length)));
    case Told.Pong:
      return link.handler.pong(Buffer.from(aside.subarray(offset, offset + length)));
    case Told.Close:
      return link.toldClose(kindAndFlags >>> 16, aside.utf8Slice(offset, offset + length));
    case Told.Violation:
      return link.toldViolation(offset);
    case Told.Drained:
      link.toldWritten(length);
      link.handler.drained();
      return false;
    case Told.Ended:
      return link.toldLost(offset);
    case Told.Output:
      link.transport.write();
      return false;
    default:
      link.toldFinished();
      return false;
  }
}

/** Time acts behind the reads of this turn: who answered while this thread was busy is not taken for silent. */
function tick(): void {
  setImmediate(letTimeAct);
}

function letTimeAct(): void {
  for (const one of watched) {
    if (!one.watch()) {
      watched.delete(one);
    }
  }
  if (native.handleTimeouts()) {
    run();
  }
}

// What was sent just before `process.exit()` leaves, as it would with a socket of Node's.
process.once('exit', () => {
  native.flush();
  for (let count = native.collect(); count > 0; count = native.collect()) {
    for (let at = Header.Words; at < Header.Words + 4 * count; at += 4) {
      if (records[at + 1] === Told.Output) {
        links[records[at] as number]?.transport.write(Number.POSITIVE_INFINITY);
      }
    }
  }
});
