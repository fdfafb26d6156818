/** Event handler attributes such as `onmessage` (HTML Standard, "Event handlers"). */

/** What an attribute can be set to and have a meaning. */
export type EventHandler = ((event: never) => unknown) | null;

interface Handler {
  value: object;
  listener: (event: Event) => void;
}

/** The event handlers of one object. */
export class EventHandlers {
  readonly #target: EventTarget;
  readonly #handlers = new Map<string, Handler>();

  constructor(target: EventTarget) {
    this.#target = target;
  }

  get(type: string): EventHandler {
    return (this.#handlers.get(type)?.value ?? null) as EventHandler;
  }

  /** What is no object counts as null. An object that cannot be called is kept, and never called. */
  set(type: string, value: unknown): void {
    const handler = this.#handlers.get(type);
    if ((typeof value !== 'object' && typeof value !== 'function') || value === null) {
      if (handler !== undefined) this.#target.removeEventListener(type, handler.listener);
      this.#handlers.delete(type);
    } else if (handler !== undefined) {
      // It keeps the place among the listeners that the first value got.
      handler.value = value;
    } else {
      this.#activate(type, value);
    }
  }

  #activate(type: string, value: object): void {
    const target = this.#target;
    const handler: Handler = {
      value,
      listener(event) {
        if (typeof handler.value !== 'function') return;
        if (Reflect.apply(handler.value, target, [event]) === false) event.preventDefault();
      },
    };
    this.#handlers.set(type, handler);
    target.addEventListener(type, handler.listener);
  }
}
