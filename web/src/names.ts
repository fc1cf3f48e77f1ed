// The names that docs/modules/consult.md gives to code systems, extensions and identifiers, and small readers for them.
import type { CodeableConcept, Extension, Identifier, Resource } from './fhir-types';

export const codes = (name: string) => `urn:shanhai:codes:${name}`;
export const extensionUrl = (name: string) => `urn:shanhai:ext:${name}`;
export const identifierSystem = (name: string) => `urn:shanhai:id:${name}`;

/** Identifier of a study in ImagingStudy.identifier (R4 ImagingStudy, section "Notes"). */
export const DICOM_UID_SYSTEM = 'urn:dicom:uid';

export function concept(system: string, code: string, text?: string): CodeableConcept {
  return { coding: [{ system: codes(system), code }], ...(text ? { text } : {}) };
}

export function codeOf(value: CodeableConcept | CodeableConcept[] | undefined, system: string): string | undefined {
  const concepts = Array.isArray(value) ? value : value ? [value] : [];
  for (const item of concepts) {
    const coding = item.coding?.find((entry) => entry.system === codes(system));
    if (coding?.code) return coding.code;
  }
  return undefined;
}

export function textOf(value: CodeableConcept | undefined): string {
  return value?.text ?? value?.coding?.find((coding) => coding.display)?.display ?? value?.coding?.[0]?.code ?? '';
}

export function extensionOf(resource: { extension?: Extension[] } | undefined, name: string): Extension | undefined {
  return resource?.extension?.find((extension) => extension.url === extensionUrl(name));
}

/** The step that the program takes by itself in this Task, and when. */
export function timerOf(task: { extension?: Extension[] } | undefined): { step: string; due: string } | undefined {
  const parts = extensionOf(task, 'timer')?.extension ?? [];
  const step = parts.find((part) => part.url === 'step')?.valueCode;
  const due = parts.find((part) => part.url === 'due')?.valueInstant;
  return step && due ? { step, due } : undefined;
}

export function identifierOf(holder: { identifier?: Identifier[] } | undefined, name: string): string | undefined {
  return holder?.identifier?.find((identifier) => identifier.system === identifierSystem(name))?.value;
}

export function referenceTo(resource: Resource): { reference: string } {
  return { reference: `${resource.resourceType}/${resource.id ?? ''}` };
}

/** "Patient/12" of a relative, absolute or versioned reference. */
export function localReference(reference: string | undefined): string | undefined {
  const match = /([A-Z][A-Za-z]+\/[A-Za-z0-9\-.]{1,64})(\/_history\/[^/]+)?$/.exec(reference ?? '');
  return match?.[1];
}

export function idOf(reference: string | undefined): string | undefined {
  return localReference(reference)?.split('/')[1];
}

export function studyUid(study: { identifier?: Identifier[] }): string | undefined {
  const value = study.identifier?.find((identifier) => identifier.system === DICOM_UID_SYSTEM)?.value;
  return value?.replace(/^urn:oid:/, '');
}
