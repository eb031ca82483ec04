/** A filter or action that cannot be understood (when a rule is created) or evaluated (for one message). */
export class FilterError extends Error {
  override readonly name: string = "FilterException";
}
