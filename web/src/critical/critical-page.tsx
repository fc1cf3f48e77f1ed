// 危急值: those that wait for a call or a read-back first, then what was dealt with.
import { DownloadOutlined } from '@ant-design/icons';
import { Button } from 'antd';
import { patientName } from '../consult/texts';
import { useDirectory } from '../directory';
import { formatTime, siteToday } from '../format';
import { useLanguage, useTranslation } from '../i18n';
import { Empty } from '../parts/empty';
import { csvOf, download } from '../parts/file';
import { Loading } from '../parts/loading';
import { Page } from '../parts/page';
import { isBarred, Trouble } from '../parts/problem';
import { CriticalCard } from './critical-card';
import { useRuleTime } from '../rule-times';
import { OPEN_STATES, partsOf, useCriticalValues, type CriticalValue } from './data';

export default function CriticalPage() {
  const { t } = useTranslation();
  const limit = useRuleTime('critical-value', 'readBackLimit');
  const asked = useCriticalValues({});
  const { data } = asked;
  if (isBarred(asked)) return <div className="page"><Trouble asked={asked} /></div>;
  if (!data) return <Loading />;
  const isOpen = (state: string) => (OPEN_STATES as readonly string[]).includes(state);
  const sorted = [...data.filter((one) => isOpen(one.state)), ...data.filter((one) => !isOpen(one.state))];
  return (
    <Page title={t('critical.title')} note={t('critical.note', { limit })} actions={sorted.length > 0 ? <ExportCritical values={sorted} /> : undefined}>
      <Trouble asked={asked} />
      {sorted.length === 0 ? <Empty title={t('critical.none')} help={t('critical.noneHelp')} /> : null}
      <div className="critical-list">{sorted.map((one) => <CriticalCard key={one.task.id} critical={one} />)}</div>
    </Page>
  );
}

/** The register of critical values as a file: each call and read-back with its time and names. */
function ExportCritical({ values }: { values: CriticalValue[] }) {
  const { t } = useTranslation();
  const language = useLanguage();
  const directory = useDirectory();
  const save = () => download(`${t('critical.title')}-${siteToday()}.csv`, csvOf([
    [t('today.asOf', { time: formatTime(new Date().toISOString(), language) })],
    ['patient.name', 'critical.finding', 'critical.foundAt', 'critical.call', 'critical.readBack', 'critical.action', 'column.state'].map((key) => t(key)),
    ...values.map(({ task, state, value, patient }) => {
      const call = partsOf(value, 'call');
      const readBack = partsOf(value, 'read-back');
      return [patientName(patient), value?.payload?.[0]?.contentString ?? '', `${formatTime(task.authoredOn, language)} ${directory.postName(task.requester)}`,
        call ? [formatTime(call.time, language), directory.postName(call.by), call.person, call.phone].filter(Boolean).join(' ') : '',
        readBack ? [formatTime(readBack.time, language), readBack.person ?? directory.postName(readBack.by), readBack.text].filter(Boolean).join(' ') : '',
        value?.note?.[0]?.text ?? '', t(`critical.state.${state}`)];
    }),
  ]));
  return <Button icon={<DownloadOutlined />} title={t('common.exportCsv')} onClick={save}>CSV</Button>;
}
