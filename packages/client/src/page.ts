/** The events of a page, or of a worker, that say that the connection is worth a look. */

/** Calls `wake` whenever there is reason to; gives a function that ends that. */
export function watchPage(wake: () => void): () => void {
  const { document } = globalThis;
  if (typeof globalThis.addEventListener !== 'function') return () => {};
  const becameVisible = () => {
    // Timers of a hidden page are throttled: what they would have found is found now.
    if (document.visibilityState === 'visible') wake();
  };
  const shown = ({ persisted }: PageTransitionEvent) => {
    // The page was taken out of the back/forward cache, which ends connections.
    if (persisted) wake();
  };
  const watched: [EventTarget | undefined, string, (event: never) => void][] = [
    [globalThis, 'online', wake],
    // Without a network the server does not answer, which is found sooner by asking than by waiting.
    [globalThis, 'offline', wake],
    [globalThis, 'pageshow', shown],
    [document, 'visibilitychange', becameVisible],
    [document, 'resume', wake],
  ];
  for (const [target, type, listener] of watched) target?.addEventListener(type, listener as EventListener);
  return () => {
    for (const [target, type, listener] of watched) {
      target?.removeEventListener(type, listener as EventListener);
    }
  };
}
