/** What a vendor sends, made by its documentation, and what is booked of it. */
export interface Vendor {
  /** As in docs/vendors.md. */
  readonly name: string;
  /** Documents of the shape; empty where none was found. */
  readonly sources: readonly string[];
  /** Members of a whole answer beside its choices. */
  readonly whole: object;
  /** A stream before its first chunk. */
  readonly before?: string;
  readonly chunks: readonly object[];
  readonly booked: { readonly prompt: number; readonly completion: number } & Readonly<
    Record<string, number | string | boolean>
  >;
  /** What is booked of the stream, if not the same. */
  readonly bookedOfStream?: Vendor['booked'];
}
