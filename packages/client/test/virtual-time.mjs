// A world with a clock of its own: what happens in it depends on a seed alone.

/** Numbers from 0 to 1 that a seed determines (mulberry32). */
export function seeded(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export class World {
  now = 0;
  #events = [];
  #count = 0;

  constructor(seed) {
    this.random = seeded(seed);
  }

  /** Whether something happens that has this probability. */
  chance(probability) {
    return this.random() < probability;
  }

  between(low, high) {
    return low + Math.floor(this.random() * (high - low + 1));
  }

  /** Calls a function later; what is planned for the same time happens in the order of planning. */
  after(delay, call) {
    const event = { at: this.now + Math.max(0, delay), number: this.#count++, call };
    // A heap: the simulation plans thousands of events.
    const heap = this.#events;
    heap.push(event);
    for (let index = heap.length - 1; index > 0; ) {
      const parent = (index - 1) >> 1;
      if (!isBefore(heap[index], heap[parent])) break;
      [heap[index], heap[parent]] = [heap[parent], heap[index]];
      index = parent;
    }
    return event;
  }

  cancel(event) {
    if (event) event.call = undefined;
  }

  /** Lets time pass, up to this time or until nothing is planned. */
  runUntil(end) {
    while (this.#events.length > 0 && this.#events[0].at <= end) {
      const event = this.#pop();
      this.now = Math.max(this.now, event.at);
      event.call?.();
    }
    this.now = Math.max(this.now, end);
  }

  #pop() {
    const heap = this.#events;
    const first = heap[0];
    const last = heap.pop();
    if (heap.length > 0) {
      heap[0] = last;
      for (let index = 0; ; ) {
        const [left, right] = [2 * index + 1, 2 * index + 2];
        let least = index;
        if (left < heap.length && isBefore(heap[left], heap[least])) least = left;
        if (right < heap.length && isBefore(heap[right], heap[least])) least = right;
        if (least === index) break;
        [heap[index], heap[least]] = [heap[least], heap[index]];
        index = least;
      }
    }
    return first;
  }
}

function isBefore(one, other) {
  return one.at < other.at || (one.at === other.at && one.number < other.number);
}
