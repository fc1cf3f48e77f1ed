// 患者信息栏: always on top of the room; a click shows the rest. It reads the one patient store.
import { DownOutlined, ManOutlined, UpOutlined, WomanOutlined } from '@ant-design/icons';
import { useState } from 'react';
import type { Consult } from '../consult/data';
import { genderKey, inpatientNumber, patientName } from '../consult/texts';
import { humanName, useDirectory } from '../directory';
import { formatAge, formatDate } from '../format';
import { HoldBadge } from '../holds/hold-badge';
import { feeText } from '../print/report-blocks';
import { useLanguage, useTranslation } from '../i18n';
import { identifierOf, textOf } from '../names';
import { StateBadge, UrgencyBadge } from '../parts/badges';

export function Banner({ consult }: { consult: Consult }) {
  const { t } = useTranslation();
  const language = useLanguage();
  const directory = useDirectory();
  const [open, setOpen] = useState(false);
  const { patient } = consult;
  const from = directory.post(consult.request?.requester);
  const facts: [string, string][] = [
    ['patient.birthDate', formatDate(patient?.birthDate, language)],
    ['patient.idNumber', identifierOf(patient, 'national') ?? ''],
    ['patient.phone', patient?.telecom?.[0]?.value ?? ''],
    ['patient.address', patient?.address?.[0]?.text ?? ''],
    ['patient.contact', (patient?.contact ?? []).map((one) =>
      [humanName({ name: one.name ? [one.name] : [] }), textOf(one.relationship?.[0]), one.telecom?.[0]?.value].filter(Boolean).join(' ')).join('；')],
    ['fee.title', feeText({ consult, t })],
    ['patient.diagnosis', consult.conditions.map((condition) => textOf(condition.code)).join('；')],
  ];
  return (
    <header className="banner">
      <div className="banner-line">
        <span className="banner-avatar" aria-hidden="true">{patient?.gender === 'female' ? <WomanOutlined /> : <ManOutlined />}</span>
        <h1 className="banner-name">{patientName(patient) || t('patient.unnamed')}</h1>
        <span className="banner-fact">{t(genderKey(patient))}</span>
        <span className="banner-fact">{formatAge(patient?.birthDate, language)}</span>
        {inpatientNumber(patient) ? <span className="banner-fact"><em>{t('patient.inpatientNo')}</em> {inpatientNumber(patient)}</span> : null}
        <span className="banner-fact banner-wide"><em>{t('banner.from')}</em> {[from?.organizationName, from?.name].filter(Boolean).join(' · ')}</span>
        <span className="banner-fact banner-wide"><em>{t('consult.number')}</em> {identifierOf(consult.request, 'consult') ?? t('consult.noNumber')}</span>
        <span className="banner-badges"><UrgencyBadge priority={consult.request?.priority} /> <StateBadge state={consult.state} /> <HoldBadge patient={consult.task.for?.reference} /></span>
        <button type="button" className="banner-more" aria-expanded={open} aria-label={t('banner.more')} onClick={() => setOpen(!open)}>
          {open ? <UpOutlined aria-hidden /> : <DownOutlined aria-hidden />} <span>{t('banner.more')}</span>
        </button>
      </div>
      {open ? (
        <dl className="banner-facts">
          {facts.filter(([, value]) => value).map(([key, value]) => <div key={key}><dt>{t(key)}</dt><dd>{value}</dd></div>)}
          {from?.phone ? <div><dt>{t('banner.fromPhone')}</dt><dd><a href={`tel:${from.phone}`}>{from.phone}</a></dd></div> : null}
        </dl>
      ) : null}
    </header>
  );
}
