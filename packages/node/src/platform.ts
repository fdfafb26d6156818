/** The name of the package that has the native core of this platform: `@vaiven/linux-x64-gnu`, `@vaiven/darwin-arm64`. */
export function platformPackage(): string {
  const { arch, platform } = process;
  if (platform === 'linux') return `@vaiven/linux-${arch}-${isGlibc() ? 'gnu' : 'musl'}`;
  return platform === 'win32' ? `@vaiven/win32-${arch}-msvc` : `@vaiven/${platform}-${arch}`;
}

function isGlibc(): boolean {
  const report = process.report as typeof process.report & { excludeNetwork?: boolean };
  // The names of all connections' peers would be looked up for it.
  const { excludeNetwork } = report;
  report.excludeNetwork = true;
  const { header } = report.getReport() as { header?: { glibcVersionRuntime?: string } };
  if (excludeNetwork !== undefined) report.excludeNetwork = excludeNetwork;
  return header?.glibcVersionRuntime !== undefined;
}
