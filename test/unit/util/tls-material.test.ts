import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { Mistakes } from "../../../src/util/mistakes.js";
import { TlsMaterial } from "../../../src/util/tls-material.js";

function material(given: unknown, parameters: Readonly<Record<string, unknown>> = {}): { tls: TlsMaterial; mistakes: string } {
  const mistakes = new Mistakes();
  const tls = new TlsMaterial(given, parameters, mistakes);
  return { tls, mistakes: mistakes.all.join("\n") };
}

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "trolleybus-tls-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

describe("what connections with TLS are made with", () => {
  test("is what Node's connect takes, with nothing that was not given", () => {
    expect(material(undefined).tls).toMatchObject({ isGiven: false, connectOptions: {} });
    const { tls, mistakes } = material({ ca: "a", cert: "c", key: "k", passphrase: "p" }, { "server-name": "broker.internal" });
    expect(mistakes).toBe("");
    expect(tls.isGiven).toBe(true);
    expect(tls.connectOptions).toEqual({ ca: "a", cert: "c", key: "k", passphrase: "p", servername: "broker.internal" });
  });

  test("is read from its files for each connection: certificates are renewed while a process runs", () => {
    const file = join(folder(), "ca.pem");
    writeFileSync(file, "the first");
    const { tls } = material(undefined, { "ca-file": file });
    expect(tls.connectOptions).toEqual({ ca: "the first" });
    writeFileSync(file, "the second");
    expect(tls.connectOptions).toEqual({ ca: "the second" });
  });

  test("is what a file held last while it cannot be read, for it may just be replaced", () => {
    const file = join(folder(), "ca.pem");
    writeFileSync(file, "the first");
    const { tls } = material({ caFile: file });
    rmSync(file);
    expect(tls.connectOptions).toEqual({ ca: "the first" });
  });

  test("is checked at once", () => {
    expect(material({ caFile: join(folder(), "none") }).mistakes).toContain("tls.caFile: ENOENT");
    expect(material({ ca: "a", caFile: "b" }).mistakes).toContain("one is enough");
    expect(material({ cert: "c" }).mistakes).toContain("tls.cert and tls.key belong together");
    expect(material({ ca: 7 }).mistakes).toContain("tls.ca must be text");
    expect(material({ serverNam: "x" }).mistakes).toContain('did you mean "serverName"?');
  });

  test("keeps its secrets out of what is printed of it", () => {
    const { tls } = material({ cert: "c", key: "the key", passphrase: "the phrase" });
    expect(JSON.stringify(tls)).not.toContain("the ");
  });
});
