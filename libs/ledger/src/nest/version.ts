/** The package's version, equal to that in its manifest. @internal */
export const VERSION = '0.1.0';
