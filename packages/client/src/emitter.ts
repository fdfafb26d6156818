/** Events for whoever listens. A listener that throws harms neither the others nor whoever emits. */

type Listener<T> = (detail: T) => void;

export class Emitter<Events extends object> {
  readonly #listeners = new Map<keyof Events, { listener: Listener<never>; once: boolean }[]>();

  on<K extends keyof Events>(event: K, listener: Listener<Events[K]>): this {
    return this.#add(event, listener, false);
  }

  /** Listens to the next event of this name alone. */
  once<K extends keyof Events>(event: K, listener: Listener<Events[K]>): this {
    return this.#add(event, listener, true);
  }

  off<K extends keyof Events>(event: K, listener: Listener<Events[K]>): this {
    const others = this.#listeners.get(event)?.filter((entry) => entry.listener !== listener);
    this.#listeners.set(event, others ?? []);
    return this;
  }

  /** Whether somebody listens. */
  protected hears(event: keyof Events): boolean {
    return (this.#listeners.get(event)?.length ?? 0) > 0;
  }

  protected emit<K extends keyof Events>(event: K, detail: Events[K]): void {
    for (const { listener, once } of this.#listeners.get(event) ?? []) {
      if (once) this.off(event, listener as Listener<Events[K]>);
      try {
        (listener as Listener<Events[K]>)(detail);
      } catch (error) {
        report(error);
      }
    }
  }

  #add<K extends keyof Events>(event: K, listener: Listener<Events[K]>, once: boolean): this {
    // A new list each time: one that is being walked over stays as it is.
    this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), { listener, once }]);
    return this;
  }
}

/** As if nobody had caught it: on the console of a browser, and the end of a process of Node's that minds such. */
function report(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
