/** A message as an event (HTML Standard, "The MessageEvent interface"). */

import { asInterface, requireArguments, toDictionary, toDOMString, toUSVString } from './webidl';

type EventInit = NonNullable<ConstructorParameters<typeof Event>[1]>;

/** What a `MessageEvent` is made with. */
export interface MessageEventInit<Data> extends EventInit {
  data?: Data;
  origin?: string;
  lastEventId?: string;
  source?: unknown;
  ports?: Iterable<unknown>;
}

/** A message that a connection fires: made without the conversions that a dictionary takes. */
class Fired {
  constructor(
    readonly data: unknown,
    readonly origin: string,
    readonly target: unknown,
  ) {}
}

const NO_PORTS: readonly unknown[] = Object.freeze([]);

export class MessageEvent<Data = unknown> extends Event {
  readonly #data: Data;
  readonly #origin: string;
  readonly #lastEventId: string = '';
  readonly #source: unknown = null;
  readonly #ports: readonly unknown[] = NO_PORTS;
  /** There only where no EventTarget dispatches the event. */
  readonly #target: unknown;
  readonly #isFired: boolean = false;

  constructor(type: string, init: MessageEventInit<Data> = {}) {
    if (init instanceof Fired) {
      super(type);
      this.#data = init.data as Data;
      this.#origin = init.origin;
      this.#target = init.target;
      this.#isFired = true;
      return;
    }
    const where = "construct 'MessageEvent'";
    requireArguments(arguments.length, 1, where);
    const members = toDictionary(init, where);
    super(type, members as EventInit);
    const { data, lastEventId, origin, ports, source } = members;
    this.#data = (data === undefined ? null : data) as Data;
    this.#lastEventId = lastEventId === undefined ? '' : toDOMString(lastEventId);
    this.#origin = origin === undefined ? '' : toUSVString(origin);
    if (ports !== undefined) this.#ports = Object.freeze(Array.from(ports as Iterable<unknown>));
    this.#source = source === undefined ? null : source;
  }

  get data(): Data {
    return this.#data;
  }

  get origin(): string {
    return this.#origin;
  }

  get lastEventId(): string {
    return this.#lastEventId;
  }

  get source(): unknown {
    return this.#source;
  }

  get ports(): readonly unknown[] {
    return this.#ports;
  }

  override get isTrusted(): boolean {
    return this.#isFired || super.isTrusted;
  }

  override get target(): EventTarget | null {
    return (this.#target as EventTarget | undefined) ?? super.target;
  }

  override get currentTarget(): EventTarget | null {
    return (this.#target as EventTarget | undefined) ?? super.currentTarget;
  }
}

asInterface(MessageEvent, 'MessageEvent', ['data', 'origin', 'lastEventId', 'source', 'ports']);

/** A message as a connection fires it; with a target only where no EventTarget is going to dispatch it. */
export function messageEvent(data: unknown, origin: string, target?: unknown): Event {
  return new MessageEvent('message', new Fired(data, origin, target) as never);
}
