/** An element of a document; prefixes of names are dropped, since nothing here depends on them. */
export interface XmlElement {
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: readonly XmlElement[];
  /** The text directly in it. */
  readonly text: string;
}

/** What is no XML, or more of it than any entity has. */
export class XmlError extends Error {
  override readonly name: string = "XmlError";
}

const DEEPEST = 32;
const NAMED: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };
const ATTRIBUTE = /\s+([^\s=/>]+)\s*=\s*(?:"([^"<]*)"|'([^'<]*)')/y;
const NAME = /[^\s=/>]+/y;

/**
 * Reads a document: elements, attributes, text, CDATA and the five named entities. Document types are refused, so that nothing is expanded
 * or fetched.
 * @throws XmlError
 */
export function parseXml(document: string): XmlElement {
  return new Reader(document).read();
}

class Reader {
  readonly #document: string;
  #at = 0;

  constructor(document: string) {
    this.#document = document;
  }

  read(): XmlElement {
    this.#skipMisc();
    const root = this.#element(0);
    this.#skipMisc();
    if (this.#at < this.#document.length) throw this.#error("something follows the root element");
    return root;
  }

  #element(depth: number): XmlElement {
    if (depth > DEEPEST) throw this.#error(`elements are nested more than ${DEEPEST} deep`);
    if (!this.#accept("<")) throw this.#error("an element was expected");
    const name = this.#name();
    const attributes = this.#attributes();
    if (this.#accept("/>")) return { name: local(name), attributes, children: [], text: "" };
    if (!this.#accept(">")) throw this.#error(`the tag <${name}> does not end`);
    const { children, text } = this.#content(depth);
    if (!this.#accept(name)) throw this.#error(`<${name}> is not closed`);
    this.#skipSpace();
    if (!this.#accept(">")) throw this.#error(`</${name}> does not end`);
    return { name: local(name), attributes, children, text };
  }

  /** Everything up to and with the "</" of the end tag. */
  #content(depth: number): { readonly children: XmlElement[]; readonly text: string } {
    const children: XmlElement[] = [];
    let text = "";
    while (!this.#accept("</")) {
      if (this.#at >= this.#document.length) throw this.#error("the document is cut off");
      if (this.#skipComment()) continue;
      if (this.#accept("<![CDATA[")) text += this.#until("]]>");
      else if (this.#document.startsWith("<", this.#at)) children.push(this.#element(depth + 1));
      else text += this.#characters();
    }
    return { children, text };
  }

  #characters(): string {
    const end = this.#document.indexOf("<", this.#at);
    const raw = this.#document.slice(this.#at, end < 0 ? this.#document.length : end);
    this.#at += raw.length;
    return decodeEntities(raw);
  }

  #attributes(): Map<string, string> {
    const attributes = new Map<string, string>();
    ATTRIBUTE.lastIndex = this.#at;
    for (let match = ATTRIBUTE.exec(this.#document); match; match = ATTRIBUTE.exec(this.#document)) {
      this.#at = ATTRIBUTE.lastIndex;
      const name = match[1] ?? "";
      if (!name.startsWith("xmlns")) attributes.set(local(name), decodeEntities(match[2] ?? match[3] ?? ""));
    }
    this.#skipSpace();
    return attributes;
  }

  #name(): string {
    NAME.lastIndex = this.#at;
    const name = NAME.exec(this.#document)?.[0];
    if (!name) throw this.#error("a name was expected");
    this.#at += name.length;
    return name;
  }

  #skipMisc(): void {
    if (this.#document.startsWith("\ufeff", this.#at)) this.#at++;
    this.#skipSpace();
    while (this.#accept("<?")) {
      this.#until("?>");
      this.#skipSpace();
    }
    while (this.#skipComment()) this.#skipSpace();
  }

  #skipComment(): boolean {
    if (!this.#accept("<!--")) return false;
    this.#until("-->");
    return true;
  }

  #skipSpace(): void {
    while (/\s/.test(this.#document.charAt(this.#at))) this.#at++;
  }

  #until(end: string): string {
    const at = this.#document.indexOf(end, this.#at);
    if (at < 0) throw this.#error(`"${end}" is missing`);
    const text = this.#document.slice(this.#at, at);
    this.#at = at + end.length;
    return text;
  }

  #accept(text: string): boolean {
    if (!this.#document.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }

  #error(text: string): XmlError {
    return new XmlError(`The body is no XML: ${text} (at character ${this.#at}).`);
  }
}

const local = (name: string): string => name.slice(name.indexOf(":") + 1);

function decodeEntities(text: string): string {
  return text.replace(/&(?:#x([0-9a-f]{1,6})|#(\d{1,7})|(\w{1,8}));/gi, (whole: string, hex?: string, decimal?: string, name?: string) => {
    if (name !== undefined) return NAMED[name] ?? whole;
    const code = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16);
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}

/** The first child of that name. */
export function child(element: XmlElement | undefined, name: string): XmlElement | undefined {
  return element?.children.find((candidate) => candidate.name === name);
}

/** The text of a child; `undefined` when there is no such child. */
export function childText(element: XmlElement | undefined, name: string): string | undefined {
  return child(element, name)?.text;
}

/** Characters that XML cannot hold at all are left out. */
export function escapeXml(text: string): string {
  return text
    .replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, "")
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("\r", "&#xD;");
}

/** An element with text; "" when there is no text to write. */
export function tag(name: string, text: string | number | boolean | undefined, attributes = ""): string {
  return text === undefined ? "" : `<${name}${attributes}>${escapeXml(String(text))}</${name}>`;
}
