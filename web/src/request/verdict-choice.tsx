// For a diagnosis the asking side answers for its images: a verdict on each, with reasons unless it is acceptable.
import { Radio, Select } from 'antd';
import { useTranslation } from '../i18n';
import type { SectionProps } from './request-page';

export const VERDICTS = ['acceptable', 'limited', 'unacceptable'];
export const FAULTS = ['thick-slices', 'missing-slices', 'motion', 'range-incomplete', 'no-prior'];

export function VerdictChoice({ studyId, draft, change }: SectionProps & { studyId: string }) {
  const { t } = useTranslation();
  const own = draft.verdicts[studyId] ?? { verdict: '', faults: [] };
  const set = (part: Partial<typeof own>) => change({ verdicts: { ...draft.verdicts, [studyId]: { ...own, ...part } } });
  return (
    <div className="verdict-choice" role="group" aria-label={t('request.verdict')}>
      <span className="field-label">{t('request.verdict')}</span>
      <Radio.Group size="small" value={own.verdict} optionType="button" onChange={(event) => set({ verdict: event.target.value as string })}
        options={VERDICTS.map((value) => ({ value, label: t(`code.verdict.${value}`) }))} />
      {own.verdict !== '' && own.verdict !== 'acceptable' ? (
        <Select size="small" mode="multiple" className="verdict-faults" value={own.faults} placeholder={t('request.verdictFaults')} aria-label={t('request.verdictFaults')}
          onChange={(faults: string[]) => set({ faults })} options={FAULTS.map((value) => ({ value, label: t(`code.fault.${value}`) }))} />
      ) : null}
    </div>
  );
}
