/** The package's version, as its manifest has it. @internal */
export const VERSION = '0.1.0';
