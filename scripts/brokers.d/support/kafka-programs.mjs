import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { canInstallPackages, installPackages } from "./debian.mjs";
import { brokerDirectory, brokersDirectory } from "./paths.mjs";
import { runVisibly } from "./run.mjs";

const COPY_DEPENDENCIES = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies";
const LOG_PATTERN = "[%d] %p %m (%c)%n";

/**
 * What differs between the versions of Kafka that are run here: the library that writes their logs.
 * @typedef {object} KafkaVersion
 * @property {string} version
 * @property {readonly string[]} logging Maven coordinates
 * @property {string} logProperty the Java system property that names the file with `logSettings`
 * @property {string} logSettings warnings and errors to the standard output
 */

/** @type {KafkaVersion} */
export const KAFKA_4 = {
  version: "4.3.1",
  logging: ["log4j-core", "log4j-1.2-api", "log4j-slf4j-impl"].map((artifact) => `org.apache.logging.log4j:${artifact}:2.25.3`),
  logProperty: "log4j2.configurationFile",
  logSettings: [
    "rootLogger.level=WARN",
    "rootLogger.appenderRef.0.ref=out",
    "appender.out.type=Console",
    "appender.out.name=out",
    "appender.out.layout.type=PatternLayout",
    `appender.out.layout.pattern=${LOG_PATTERN}`,
  ].join("\n"),
};

/** @type {KafkaVersion} */
export const KAFKA_3 = {
  version: "3.9.1",
  logging: ["org.slf4j:slf4j-reload4j:1.7.36"],
  logProperty: "log4j.configuration",
  logSettings: [
    "log4j.rootLogger=WARN,out",
    "log4j.appender.out=org.apache.log4j.ConsoleAppender",
    "log4j.appender.out.layout=org.apache.log4j.PatternLayout",
    `log4j.appender.out.layout.ConversionPattern=${LOG_PATTERN}`,
  ].join("\n"),
};

export const NEEDS =
  "Java 17 or later, and Maven to fetch Kafka once (`apt-get install default-jre-headless maven`; by itself when root on Debian)";

/** @param {KafkaVersion} kafka */
export function jarsOf(kafka) {
  return join(brokersDirectory(), "kafka-jars", kafka.version);
}

/** @param {KafkaVersion} kafka */
export function isInstalled(kafka) {
  return existsSync(jarsOf(kafka)) && isOnPath("java");
}

export function canInstall() {
  return canInstallPackages() || (isOnPath("java") && isOnPath("mvn"));
}

/**
 * Resolves the broker's jars (44 MB) with Maven into a folder of ours, from wherever this machine's Maven gets its artifacts.
 * @param {KafkaVersion} kafka
 * @returns {Promise<void>}
 */
export async function install(kafka) {
  const packages = [...(isOnPath("java") ? [] : ["default-jre-headless"]), ...(isOnPath("mvn") ? [] : ["maven"])];
  if (packages.length > 0) await installPackages(packages);
  const jars = jarsOf(kafka);
  if (existsSync(jars)) return;
  const unfinished = `${jars}.unfinished`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished, { recursive: true });
  const pom = join(brokerDirectory("kafka-jars"), `pom-${kafka.version}.xml`);
  writeFileSync(pom, pomOf(kafka));
  await runVisibly("mvn", ["-q", "-B", "-f", pom, COPY_DEPENDENCIES, "-DincludeScope=runtime", `-DoutputDirectory=${unfinished}`]);
  renameSync(unfinished, jars);
}

/** @param {KafkaVersion} kafka */
function pomOf({ version, logging }) {
  const dependencies = [`org.apache.kafka:kafka_2.13:${version}`, ...logging].map((coordinates) => {
    const [group, artifact, number] = coordinates.split(":");
    return `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${number}</version></dependency>`;
  });
  return `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>local.trolleybus</groupId><artifactId>kafka-broker</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    ${dependencies.join("\n    ")}
  </dependencies>
</project>
`;
}

/** @param {string} program */
function isOnPath(program) {
  return (process.env["PATH"] ?? "").split(delimiter).some((folder) => folder !== "" && existsSync(join(folder, program)));
}
