/** The files of an application, by path from its folder with `/` between names. @internal */
export interface AppFiles {
  /** @returns the text, or undefined if there is no such file */
  read(path: string): string | undefined;
  /** @returns the paths of all files below a folder, or none if there is no such folder */
  list(folder: string): readonly string[];
}

/** One file before and after; `before` is undefined for a new one. @internal */
export interface FileChange {
  readonly path: string;
  readonly before: string | undefined;
  readonly after: string;
}
