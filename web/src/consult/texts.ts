// Short texts made from records, the same wherever they are shown.
import type { ImagingStudy, Patient } from '../fhir-types';
import { formatTime, type Language } from '../format';
import { humanName } from '../directory';
import type { TFunction } from '../i18n';
import { codeOf, identifierOf } from '../names';
import type { Machine } from '../states';
import type { Consult } from './data';

export const patientName = (patient: Patient | undefined): string => humanName(patient);

export const inpatientNumber = (patient: Patient | undefined): string =>
  identifierOf(patient, 'inpatient') ?? '';

export function genderKey(patient: Patient | undefined): string {
  return `gender.${patient?.gender ?? 'unknown'}`;
}

export function studyTitle(study: ImagingStudy, language: Language): string {
  const modality = study.modality?.[0]?.code ?? study.series?.[0]?.modality.code ?? '';
  const count = study.numberOfInstances ?? (study.series ?? []).reduce((sum, series) => sum + (series.numberOfInstances ?? 0), 0);
  const images = language === 'zh' ? `${count} 幅` : `${count} images`;
  return [modality, study.description, formatTime(study.started, language), images].filter(Boolean).join(' · ');
}

/** A step in words; some steps of a remote diagnosis have words of their own. */
export const stepText = (t: TFunction, machine: Machine, step: string): string =>
  t(`did.${machine === 'remote-diagnosis' ? 'diagnosis-' : ''}${step}`, { defaultValue: t(`did.${step}`, { defaultValue: step }) });

/** Plain text of a narrative. The text is shown as text, never as markup. */
export function narrativeText(div: string | undefined): string {
  if (!div) return '';
  const document = new DOMParser().parseFromString(div.replace(/<br\s*\/?>|<\/p>/gi, '\n'), 'text/html');
  return (document.body.textContent ?? '').replace(/\n{3,}/g, '\n\n').trim();
}

export function textNarrative(text: string): { status: string; div: string } {
  const escaped = text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
  const lines = escaped.split('\n').map((line) => `<p>${line}</p>`).join('');
  return { status: 'generated', div: `<div xmlns="http://www.w3.org/1999/xhtml">${lines}</div>` };
}

/** Written and signed, though this person may not read it: the coordinator sees state and time, never text. */
export const isSignedUnseen = (consult: Pick<Consult, 'task' | 'bundles'>, kind: string) =>
  (consult.task.output ?? []).some((output) => codeOf(output.type, 'consult-output') === kind) && !consult.bundles.some((one) => one.kind === kind);
