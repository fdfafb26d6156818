/**
 * One connection attempt at a time to one address and port: RFC 6455 section 4.1, step 2 of the requirements for a
 * client that opens a connection.
 *
 * An attempt holds every address that its host name stands for, so that two names of one machine take turns too.
 * Each address has a chain; an attempt is put at the end of all its chains at once, which is why no two attempts can
 * wait for each other.
 */

const lastInLine = new Map<string, Promise<void>>();

/** Resolves to a function that ends the turn, once every earlier attempt to any of the addresses is over. */
export async function takeTurn(addresses: readonly string[], port: number): Promise<() => void> {
  const keys = addresses.map((address) => `${address} ${port}`);
  const before = keys.map((key) => lastInLine.get(key));
  let end!: () => void;
  const over = new Promise<void>((resolve) => {
    end = resolve;
  });
  for (const key of keys) lastInLine.set(key, over);
  await Promise.all(before);
  return () => {
    end();
    for (const key of keys) if (lastInLine.get(key) === over) lastInLine.delete(key);
  };
}
