/** Something that the user has to do first. The message says what; it is shown without a stack. */
export class SetupError extends Error {}
