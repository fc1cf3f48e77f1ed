// 人员与岗位: accounts, posts and organisations, for the administrator. No patient data comes here.
import { useSearchParams } from 'react-router';
import { useTranslation } from '../i18n';
import { Page } from '../parts/page';
import { Tabs } from '../parts/tabs';
import { Accounts } from './accounts';
import { Organizations } from './organizations';
import { Posts } from './posts';

export default function PeoplePage() {
  const { t } = useTranslation();
  const [query, setQuery] = useSearchParams();
  return (
    <Page title={t('people.title')} note={t('people.note')}>
      <section className="panel">
        <Tabs activeKey={query.get('tab') ?? 'accounts'} label={t('people.title')} onChange={(tab) => setQuery({ tab }, { replace: true })}
          items={[
            { key: 'accounts', label: t('people.accounts'), children: <Accounts /> },
            { key: 'posts', label: t('people.posts'), children: <Posts /> },
            { key: 'organizations', label: t('people.organizations'), children: <Organizations /> },
          ]} />
      </section>
    </Page>
  );
}
