/** What {@link defineMessage} returns. `Input` is what travels, `Output` is what a consumer gets. */
export interface DefinedMessageClass<in Input, out Output extends object> {
  /** Checks `data` at once. @throws InvalidMessageError with the issues of the schema. */
  new (data: Input): Output;
  readonly messageType: string;
  readonly fromWire: (data: unknown) => Output;
}
