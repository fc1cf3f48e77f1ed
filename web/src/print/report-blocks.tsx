// The report as a row of blocks that the sheets deal out. Where a signed document exists, its own frozen text is printed.
import { QRCode } from 'antd';
import type { Consult } from '../consult/data';
import { genderKey, inpatientNumber, narrativeText, patientName, studyTitle } from '../consult/texts';
import type { Directory } from '../directory';
import type { Bundle, Reference } from '../fhir-types';
import { formatAge, formatDate, formatTime, type Language } from '../format';
import type { TFunction } from '../i18n';
import { codeOf, extensionOf, identifierOf, idOf, textOf } from '../names';
import { certificateOf, compositionOf } from '../room/document-view';
import { NOTE_KINDS, opinionText } from '../room/opinion-tab';
import { doctorOf, reportText } from '../room/report-tab';
import { isWritten } from '../room/verbal-opinions';
import { checkAddress } from './copies';
import { splitText } from './paginate';
import type { Block } from './sheets';

export class BlockList {
  readonly blocks: Block[] = [];
  private count = 0;

  add(node: Block['node'], keepWithNext = false): void {
    this.blocks.push({ key: `${this.count++}`, node, keepWithNext });
  }

  heading(text: string): void {
    this.add(<h2 className="report-heading">{text}</h2>, true);
  }

  text(text: string | undefined, label?: string): void {
    splitText(text ?? '').forEach((piece, index) => this.add(<p className="report-text">{index === 0 && label ? <b>{label}：</b> : null}{piece}</p>));
  }

  sub(text: string): void {
    this.add(<p className="report-sub">{text}</p>, true);
  }
}

/** What the sheets are made of; `copy` is the number of the copy that is being printed. */
export interface ReportParts { consult: Consult; directory: Directory; t: TFunction; language: Language; copy: number | undefined }

export function reportBlocks(parts: ReportParts): Block[] {
  const { consult, directory, t, language } = parts;
  const list = new BlockList();
  const diagnosis = consult.machine === 'remote-diagnosis';
  list.add(<p className="report-title">{t(diagnosis ? 'print.diagnosisTitle' : 'print.title')}</p>);
  list.add(<FactTable consult={consult} directory={directory} t={t} language={language} />);
  list.heading(t(diagnosis ? 'report.question' : 'print.question'));
  list.text(consult.request?.reasonCode?.[0]?.text, t(diagnosis ? 'report.reason' : 'consult.reason'));
  list.text(consult.request?.orderDetail?.[0]?.text, t(diagnosis ? 'report.purpose' : 'consult.purpose'));
  list.heading(t('consult.summary'));
  list.text(consult.request?.note?.[0]?.text);
  if (consult.studies.length > 0) {
    list.heading(t('print.images'));
    for (const study of consult.studies) list.text(studyTitle(study, language));
    for (const report of consult.reports.filter((one) => one.status === 'final' || one.status === 'amended')) {
      list.text(report.conclusion, t('measurement.title'));
    }
  }
  const joint = consult.bundles.find((output) => output.kind === 'joint-opinion')?.bundle;
  const signed = consult.bundles.find((output) => output.kind === 'diagnosis-report')?.bundle;
  if (diagnosis) {
    if (signed) documentBlocks(list, signed, directory, t);
    else diagnosisBlocks(list, consult, t);
  } else if (joint) documentBlocks(list, joint, directory, t);
  else draftBlocks(list, consult, directory, t, language);
  for (const output of consult.bundles.filter((one) => one.kind === 'addendum' || one.kind === 'decision')) documentBlocks(list, output.bundle, directory, t);
  list.add(
    <>
      <SignatureTable consult={consult} directory={directory} t={t} language={language} />
      {joint || signed ? <VerifyBlock {...parts} /> : null}
    </>,
  );
  return list.blocks;
}

/** Sections whose author stands in their heading; those of a diagnosis have one author. */
const consultSection = (kind: string | undefined) => !['findings', 'conclusion', 'advice'].includes(kind ?? '');

function documentBlocks(list: BlockList, bundle: Bundle, directory: Directory, t: TFunction): void {
  const composition = compositionOf(bundle);
  if (composition && !['joint-opinion', 'diagnosis-report'].includes(codeOf(composition.type, 'document') ?? '')) list.heading(composition.title);
  for (const section of composition?.section ?? []) {
    const kind = codeOf(section.code, 'section');
    const author = section.author?.[0] && kind !== 'consensus' && consultSection(kind) ? directory.post(section.author[0]) : undefined;
    const title = author ? `${section.title ?? ''} · ${author.name}（${author.organizationName} ${author.specialty} ${author.title ? t(`title.${author.title}`) : ''}）` : (section.title ?? '');
    if (['joint-opinion', 'diagnosis-report'].includes(codeOf(composition?.type, 'document') ?? '')) list.heading(title);
    else list.sub(title);
    list.text(narrativeText(section.text?.div));
  }
}

/** What is handed in or still written, as far as the reader sees it. */
function diagnosisBlocks(list: BlockList, consult: Consult, t: TFunction): void {
  const text = reportText(consult.diagnosis[0]);
  for (const name of ['findings', 'conclusion', 'advice'] as const) {
    list.heading(t(`report.${name}`));
    list.text(text[name] || t('print.notWritten'));
  }
}

function draftBlocks(list: BlockList, consult: Consult, directory: Directory, t: TFunction, language: Language): void {
  const draft = consult.compositions.find((one) => one.status === 'preliminary');
  list.heading(t('joint.consensus'));
  list.text(narrativeText(draft?.section?.[0]?.text?.div) || t('print.notWritten'));
  for (const impression of consult.impressions.filter((one) => one.status === 'completed' && isWritten(one))) {
    const text = opinionText(impression);
    const dissent = codeOf(impression.code, 'opinion-kind') === 'dissent';
    list.heading(`${t(dissent ? 'opinion.dissent' : 'opinion.one')} · ${directory.postName(impression.assessor)} ${formatTime(impression.date, language)}`);
    for (const name of ['summary', 'basis', ...NOTE_KINDS] as const) list.text(text[name], t(`opinion.${name}`));
  }
}

/** Price item, amount and payer as they stand; before a fee is set, the payer that the consent names. */
export function feeText({ consult, t }: Pick<ReportParts, 'consult' | 't'>): string {
  const { charge, invoice } = consult;
  const payer = extensionOf(invoice ?? consult.consents.find((one) => extensionOf(one, 'payer')), 'payer')?.valueCode;
  const item = codeOf(charge?.code, 'price-item');
  const amount = invoice ? t(payer === 'waived' ? 'fee.amountWaived' : 'fee.amount', { net: (invoice.totalNet?.value ?? 0).toFixed(2), gross: (invoice.totalGross?.value ?? 0).toFixed(2) }) : '';
  return [item ? t(`code.item.${item}`) : '', amount, payer ? `${t('fee.payer')} ${t(`payer.${payer}`)}` : ''].filter(Boolean).join(' · ');
}

export function FeeLine({ consult, t }: ReportParts) {
  return <p className="report-text"><b>{t('fee.title')}：</b>{feeText({ consult, t }) || '—'}</p>;
}

/** QR code beside the room for the stamp: whoever holds the sheet may check that it is genuine. */
export function VerifyBlock({ consult, t, copy }: ReportParts) {
  const counted = consult.bundles.find((output) => output.kind === 'joint-opinion')?.bundle;
  const document = counted ?? consult.bundles.find((output) => output.kind === 'diagnosis-report')?.bundle;
  if (!document) return null;
  return (
    <div className="stamp-space">
      <div className="verify-code">
        {copy || !counted ? <span aria-hidden><QRCode type="svg" size={108} bordered={false} value={checkAddress(window.location.origin, document, copy)} /></span> : <span className="verify-later">{t('print.codeLater')}</span>}
        <p>{t('print.codeHelp')}<br />{copy ? t('print.copyNo', { n: copy }) : ''}</p>
      </div>
      <span className="stamp">{t('print.stamp')}</span>
    </div>
  );
}

interface PartProps { consult: Consult; directory: Directory; t: TFunction; language: Language }

function FactTable({ consult, directory, t, language }: PartProps) {
  const { patient, request } = consult;
  const from = directory.post(request?.requester);
  const title = request?.extension?.find((one) => one.url.endsWith(':wanted-title'))?.valueCode;
  const diagnosis = consult.machine === 'remote-diagnosis';
  const experts = diagnosis ? [doctorOf(consult, 'reporter'), doctorOf(consult, 'reviewer')].map((who) => directory.postName(who)).join(t('common.listMark'))
    : (consult.appointment?.participant ?? []).filter((one) => one.status === 'accepted').map((one) => directory.postName(one.actor)).join(t('common.listMark'));
  const rows: [string, string, string, string][] = [
    ['patient.name', patientName(patient), 'patient.genderAge', `${t(genderKey(patient))} ${formatAge(patient?.birthDate, language)}`],
    ['patient.inpatientNo', inpatientNumber(patient), 'patient.birthDate', formatDate(patient?.birthDate, language)],
    ['print.inviting', [from?.organizationName, from?.specialty].filter(Boolean).join(' '), 'print.treating', from?.name ?? ''],
    ['print.invited', directory.organizationName(request?.performer?.[0]), diagnosis ? 'report.both' : 'print.experts', experts],
    ['consult.urgency', t(`urgency.${request?.priority ?? 'routine'}`), ...(diagnosis ? ['request.diagnosisKind', t(`code.diagnosis-kind.${codeOf(request?.category, 'diagnosis-kind') ?? 'imaging'}`)] as const
      : ['consult.specialty', [request?.performerType?.text, title ? t(`title.${title}`) : ''].filter(Boolean).join(' ')] as const)],
    ['print.submitted', formatTime(request?.authoredOn, language), diagnosis ? 'print.reported' : 'print.held', formatTime(diagnosis ? consult.bundles[0]?.bundle.timestamp : consult.encounter?.period?.start, language)],
    ['fee.title', feeText({ consult, t }), 'consult.number', identifierOf(request, 'consult') ?? ''],
    ['patient.diagnosis', consult.conditions.map((one) => textOf(one.code)).join('；'), '', ''],
  ];
  return (
    <table className="report-facts">
      <tbody>
        {rows.map(([left, leftValue, right, rightValue]) => (
          <tr key={left}><th>{t(left)}</th><td colSpan={right ? 1 : 3}>{leftValue || '—'}</td>{right ? <><th>{t(right)}</th><td>{rightValue || '—'}</td></> : null}</tr>
        ))}
      </tbody>
    </table>
  );
}

function SignatureTable({ consult, directory, t, language }: PartProps) {
  const row = (who: Reference | undefined, what: string, time: string | undefined, certificate: string) => {
    const post = directory.post(who);
    return (
      <tr key={`${what}${time ?? ''}${who?.reference ?? ''}`}>
        <td>{what}</td>
        <td>{post?.name || directory.postName(who)}</td>
        <td>{[post?.organizationName, post?.title ? t(`title.${post.title}`) : ''].filter(Boolean).join(' ')}</td>
        <td>{certificate || '—'}</td>
        <td>{formatTime(time, language)}</td>
      </tr>
    );
  };
  const opinions = consult.impressions.filter((one) => one.status === 'completed' && isWritten(one));
  if (opinions.length === 0 && consult.bundles.length === 0) return <p className="report-text">{t('print.unsigned')}</p>;
  return (
    <table className="report-signatures">
      <caption>{t('print.signatures')}</caption>
      <thead><tr>{['what', 'who', 'where', 'certificate', 'time'].map((key) => <th key={key}>{t(`print.signature.${key}`)}</th>)}</tr></thead>
      <tbody>
        {opinions.map((one) => row(one.assessor, t(codeOf(one.code, 'opinion-kind') === 'dissent' ? 'opinion.dissent' : 'opinion.one'), one.date, certificateFor(consult, one.id)))}
        {consult.bundles.flatMap(({ bundle }) => compositionOf(bundle)?.attester?.filter((one) => one.mode === 'personal') ?? [])
          .map((one) => row(one.party, t('report.reporter'), one.time, ''))}
        {consult.bundles.map(({ bundle }) => row(bundle.signature?.who ?? compositionOf(bundle)?.author[0], compositionOf(bundle)?.title ?? '', bundle.signature?.when ?? bundle.timestamp, certificateOf(bundle)))}
      </tbody>
    </table>
  );
}

/** Number of the certificate with which an opinion was signed. */
function certificateFor(consult: Consult, opinionId: string | undefined): string {
  const signed = consult.signatures.find((one) => one.target.some((target) => idOf(target.reference) === opinionId));
  return extensionOf(signed?.signature?.[0], 'certificate-number')?.valueString ?? '';
}
