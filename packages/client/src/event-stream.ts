/** The text of a stream of Server-Sent Events to its events: HTML Standard, section 9.2.6. */

/** An event with its type, `message` where it has none. */
export type OnEvent = (type: string, data: string) => void;

export class EventStreamParser {
  readonly #onEvent: OnEvent;
  #rest = '';
  #type = '';
  #data: string[] = [];

  constructor(onEvent: OnEvent) {
    this.#onEvent = onEvent;
  }

  /** Takes what has arrived, wherever it was cut. */
  feed(text: string): void {
    const lines = (this.#rest + text).split(/\r\n|\r(?!$)|\n/);
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#line(line);
  }

  #line(line: string): void {
    if (line === '') {
      if (this.#data.length > 0) this.#onEvent(this.#type || 'message', this.#data.join('\n'));
      this.#type = '';
      this.#data = [];
      return;
    }
    const [, field, value = ''] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
    if (field === 'data') this.#data.push(value);
    else if (field === 'event') this.#type = value;
  }
}
