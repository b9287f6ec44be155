/** Minimum version of Node.js for the client. Source: `engines` of @platformatic/kafka 2.12. */
const [MAJOR, MINOR] = [22, 22];

/** @param version `22.22.0` @throws Error if it is below the client's minimum @internal */
export function checkNodeVersion(version: string): void {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major > MAJOR || (major === MAJOR && minor >= MINOR)) return;
  throw new Error(
    `nestjs-ledger/kafka needs Node.js ${MAJOR}.${MINOR} or later, because @platformatic/kafka does; ` +
      `this is ${version}`,
  );
}
