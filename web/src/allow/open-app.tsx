// 打开应用: apps that were registered with a launch address, opened with the patient of this screen.
import { AppstoreOutlined } from '@ant-design/icons';
import { useQuery } from '@tanstack/react-query';
import { Button, Dropdown } from 'antd';
import { callJson, sendJson } from '../fhir';
import { useTranslation } from '../i18n';
import { problemText } from '../parts/problem';
import { toast } from '../parts/toast';

interface AppList { apps: { id: string; name: string }[] }

export function OpenApp({ patient }: { patient?: string }) {
  const { t } = useTranslation();
  const { data } = useQuery({ queryKey: ['apps'], queryFn: ({ signal }) => callJson<AppList>('/auth/apps', { signal }), staleTime: 5 * 60_000 });
  const open = async (app: string) => {
    try {
      const { redirect } = await sendJson<{ redirect: string }>('/auth/launch', 'POST', { app, patient });
      window.open(redirect, '_blank', 'noopener');
    } catch (error) {
      toast.error(problemText(error, t).title);
    }
  };
  if (!patient || !data?.apps.length) return null;
  return (
    <Dropdown trigger={['click']} menu={{ items: data.apps.map((app) => ({ key: app.id, label: app.name, onClick: () => void open(app.id) })) }}>
      <Button size="small" icon={<AppstoreOutlined />}>{t('allow.open')}</Button>
    </Dropdown>
  );
}
