/** Tasks of the event loop, as the standards count them. */

let waiting: (() => void)[] = [];

/**
 * Ends a task here and now: runs the microtasks and ticks that wait, as Node does between two timers. Undefined where the
 * runtime does not offer that; then the engine can be asked for a pause, which costs more than a message's way.
 */
export const endTask = (process as { _tickCallback?: () => void })._tickCallback;

/** Calls back once the current task and its microtasks are over. */
export function atEndOfTask(callback: () => void): void {
  if (waiting.push(callback) === 1) setImmediate(callAll);
}

function callAll(): void {
  const callbacks = waiting;
  waiting = [];
  for (const callback of callbacks) callback();
}
