// 危急值: those that wait for a call or a read-back first, then what was dealt with.
import { useTranslation } from 'react-i18next';
import { Empty } from '../parts/empty';
import { Loading } from '../parts/loading';
import { Page } from '../parts/page';
import { Problem } from '../parts/problem';
import { CriticalCard } from './critical-card';
import { OPEN_STATES, useCriticalValues } from './data';

export default function CriticalPage() {
  const { t } = useTranslation();
  const { data, error, refetch } = useCriticalValues({});
  if (error) return <div className="page"><Problem error={error} retry={() => void refetch()} /></div>;
  if (!data) return <Loading />;
  const isOpen = (state: string) => (OPEN_STATES as readonly string[]).includes(state);
  const sorted = [...data.filter((one) => isOpen(one.state)), ...data.filter((one) => !isOpen(one.state))];
  return (
    <Page title={t('critical.title')} note={t('critical.note')}>
      {sorted.length === 0 ? <Empty title={t('critical.none')} help={t('critical.noneHelp')} /> : null}
      <div className="critical-list">{sorted.map((one) => <CriticalCard key={one.task.id} critical={one} />)}</div>
    </Page>
  );
}
