/** What a connection string says. */
export interface ConnectionStringParts {
  readonly host: string;
  readonly port: number;
  readonly keyName: string;
  readonly key: string;
}

/** A connection string as the SDKs take it; the last part makes them speak without TLS. */
export function connectionString({ host, port, keyName, key }: ConnectionStringParts): string {
  const address = host.includes(":") ? `[${host}]` : host;
  return `Endpoint=sb://${address}:${port};SharedAccessKeyName=${keyName};SharedAccessKey=${key};UseDevelopmentEmulator=true;`;
}
