/** The end of the current task: the moment from which the standard sees what went to the network meanwhile. */

let waiting: (() => void)[] = [];

/** Calls back once the current task and its microtasks are over. */
export function atEndOfTask(callback: () => void): void {
  if (waiting.push(callback) === 1) setImmediate(callAll);
}

function callAll(): void {
  const callbacks = waiting;
  waiting = [];
  for (const callback of callbacks) callback();
}
