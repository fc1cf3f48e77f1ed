// ② What is asked, of whom, by when.
import { AutoComplete, DatePicker, Input, Radio, Select } from 'antd';
import { useEffect } from 'react';
import { useDirectory } from '../directory';
import { siteInstant } from '../format';
import { siteWallClock } from '../parts/wall-clock';
import { listOf, useLanguage, useTranslation } from '../i18n';
import { useSession } from '../session';
import type { SectionProps } from './request-page';
import { wantedTimeFor } from './wanted-time';

export const TITLES = ['attending', 'associate-chief', 'chief'];

const KINDS = ['imaging', 'ecg', 'pathology'];

export function AskSection({ draft, change, fixedMachine }: SectionProps & { fixedMachine: boolean }) {
  const { t } = useTranslation();
  const directory = useDirectory();
  const { post } = useSession();
  const experts = directory.posts.filter((one) => one.role === 'expert' && one.active);
  const language = useLanguage();
  const helping = new Set(directory.posts.filter((one) => one.role === 'expert' || one.role === 'consult-coordinator').map((one) => one.organizationId));
  const hospitals = directory.organizations.filter((house) => house.id && helping.has(house.id) && house.id !== post.organization.id);
  const specialties = [...new Set(experts.filter((one) => !draft.hospital || one.organizationId === draft.hospital).map((one) => one.specialty).filter(Boolean))];
  const diagnosis = draft.machine === 'remote-diagnosis';
  const only = hospitals.length === 1 ? hospitals[0]?.id : undefined;
  useEffect(() => {
    if (!draft.hospital && only) change({ hospital: only });
  }, [draft.hospital, only, change]);

  return (
    <section className="panel request-section" aria-labelledby="section-ask">
      <h2 id="section-ask"><span className="step-number">2</span>{t('request.ask')}</h2>
      <div className="field-grid field-grid-3">
        <div className="field" role="group" aria-label={t('request.machine')}>
          <span className="field-label">{t('request.machine')}</span>
          <Radio.Group value={draft.machine} optionType="button" buttonStyle="solid" disabled={fixedMachine} data-field="machine"
            onChange={(event) => change({ machine: event.target.value as typeof draft.machine })}
            options={(['consult', 'remote-diagnosis'] as const).map((value) => ({ value, label: t(`machine.${value}`) }))} />
        </div>
        {diagnosis ? (
          <div className="field field-two" role="group" aria-label={t('request.diagnosisKind')}>
            <span className="field-label">{t('request.diagnosisKind')}</span>
            <Radio.Group value={draft.diagnosisKind} optionType="button" onChange={(event) => change({ diagnosisKind: event.target.value as string })}
              options={KINDS.map((value) => ({ value, label: t(`code.diagnosis-kind.${value}`) }))} />
          </div>
        ) : <p className="hint field-two">{t('request.machineHelp')}</p>}
        <div className="field" role="group" aria-label={t('consult.urgency')}>
          <span className="field-label">{t('consult.urgency')}</span>
          <Radio.Group value={draft.urgency} optionType="button" buttonStyle="solid"
            onChange={(event) => {
              const urgency = event.target.value as typeof draft.urgency;
              change({ urgency, wantedTime: wantedTimeFor(urgency), ...(urgency === 'stat' ? {} : { consentKind: 'signed' }) });
            }}
            options={(['routine', 'urgent', 'stat'] as const).map((value) => ({ value, label: t(`urgency.${value}`) }))} />
        </div>
        <div className="field">
          <label className="field-label" htmlFor="ask-hospital">{t('consult.to')}</label>
          <Select id="ask-hospital" value={draft.hospital || undefined} placeholder={t('request.chooseHospital')} data-field="hospital"
            onChange={(hospital: string) => change({ hospital })} options={hospitals.map((house) => ({ value: house.id ?? '', label: house.name }))} />
        </div>
        <div className="field">
          <label className="field-label" htmlFor="ask-time">{t('consult.wantedTime')}</label>
          <DatePicker id="ask-time" value={draft.wantedTime ? siteWallClock(draft.wantedTime) : undefined} showTime={{ format: 'HH:mm', minuteStep: 5 }} format="YYYY-MM-DD HH:mm"
            onChange={(picked) => change({ wantedTime: picked ? siteInstant(picked) : '' })} />
        </div>
        {diagnosis ? null : (
          <>
            <div className="field">
              <label className="field-label" htmlFor="ask-specialty">{t('consult.specialty')}</label>
              <AutoComplete id="ask-specialty" value={draft.specialty} placeholder={t('request.specialtyPlaceholder')} data-field="specialty"
                onChange={(specialty: string) => change({ specialty })} options={specialties.map((value) => ({ value }))} />
            </div>
            <div className="field field-two" role="group" aria-label={t('consult.title')}>
              <span className="field-label">{t('consult.title')}</span>
              <Radio.Group value={draft.title} optionType="button" onChange={(event) => change({ title: event.target.value as string })}
                options={TITLES.map((value) => ({ value, label: t(`titleAtLeast.${value}`) }))} />
            </div>
          </>
        )}
      </div>
      <label className="field">
        <span className="field-label">{t(diagnosis ? 'report.reason' : 'consult.reason')}</span>
        <Input value={draft.reason} data-field="reason" placeholder={t('request.reasonPlaceholder')} onChange={(event) => change({ reason: event.target.value })} />
      </label>
      <label className="field">
        <span className="field-label">{t(diagnosis ? 'report.purpose' : 'consult.purpose')}</span>
        <Input.TextArea value={draft.purpose} autoSize={{ minRows: 2, maxRows: 6 }} data-field="purpose" placeholder={t('request.purposePlaceholder')}
          onChange={(event) => change({ purpose: event.target.value })} />
      </label>
      <div className="chips" role="group" aria-label={t('request.purposeSamples')}>
        {listOf('request.samples', language).map((sample) => (
          <button key={sample} type="button" className="chip" onClick={() => change({ purpose: draft.purpose ? `${draft.purpose}\n${sample}` : sample })}>{sample}</button>
        ))}
      </div>
    </section>
  );
}
