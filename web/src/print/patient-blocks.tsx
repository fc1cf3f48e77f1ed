// 患者联: what was agreed and what was decided, in words for the patient. No discussion, no single opinions, no dissent.
import { genderKey, inpatientNumber, narrativeText, patientName } from '../consult/texts';
import { formatAge, formatTime } from '../format';
import { codeOf } from '../names';
import { compositionOf } from '../room/document-view';
import { BlockList, FeeLine, VerifyBlock, type ReportParts } from './report-blocks';
import type { Block } from './sheets';

export function patientBlocks(parts: ReportParts): Block[] {
  const { consult, directory, t, language } = parts;
  const list = new BlockList();
  const { patient, request } = consult;
  const from = directory.post(request?.requester);
  const textOfKind = (kind: string, section: string) => {
    const document = consult.bundles.find((output) => output.kind === kind)?.bundle;
    const found = document && compositionOf(document)?.section?.find((one) => codeOf(one.code, 'section') === section);
    return narrativeText(found?.text?.div);
  };
  list.add(<p className="report-title">{t('print.patientTitle')}</p>);
  list.text(t('print.patientGreeting', {
    name: patientName(patient), gender: t(genderKey(patient)), age: formatAge(patient?.birthDate, language), number: inpatientNumber(patient) || '—',
    from: from?.organizationName ?? '', to: directory.organizationName(request?.performer?.[0]), time: formatTime(consult.encounter?.period?.start, language),
  }));
  list.heading(t('print.patientOpinion'));
  list.text(textOfKind('joint-opinion', 'consensus'));
  list.heading(t('print.patientPlan'));
  list.text(textOfKind('decision', 'plan') || t('print.notWritten'));
  list.heading(t('print.patientAsk'));
  list.text(t('print.patientAskText', { who: from?.name ?? '', phone: from?.phone ?? '—' }));
  list.add(<FeeLine {...parts} />);
  list.add(<VerifyBlock {...parts} />);
  return list.blocks;
}
