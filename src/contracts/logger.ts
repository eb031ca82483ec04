/** Where the bus writes what a person should know. pino, winston and `console` fit as they are. */
export interface Logger {
  debug(text: string, fields?: object): void;
  info(text: string, fields?: object): void;
  warn(text: string, fields?: object): void;
  error(text: string, fields?: object): void;
}
